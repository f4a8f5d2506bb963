//! The configuration room from outside: what loads, what is refused with which words, what is shown.

#[path = "config/mod.rs"]
mod cases;
