//! One module for quorate: `peak_alert`.

mod peak_alert;

pub use peak_alert::PeakAlert;

#[cfg(doctest)]
#[doc = include_str!("../../docs/walkthrough.md")]
struct Walkthrough;
