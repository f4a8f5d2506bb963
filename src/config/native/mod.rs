//! Native librdkafka properties: which there are, what users may pass through, and the complete map of each client.
//! Emits one canonical name per property and nothing that the library would refuse.

pub(super) mod catalogue;
pub(super) mod checks;
pub(super) mod clients;
pub(super) mod foreign;
pub(super) mod passthrough;
