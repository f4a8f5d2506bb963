//! The pipeline: lanes, routing, shards, runs, settlement. Knows Kafka only through its [`ports`].

pub mod lane;
pub mod ports;
