//! From our properties to the client library's configuration, and its log lines into ours.

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use crate::config::Properties;

/// The library's configuration. It filters its own log by its own level, so that ours decides what is shown.
pub(super) fn config(properties: &Properties) -> ClientConfig {
    let mut config: ClientConfig = properties.0.clone().into_iter().collect();
    config.set_log_level(RDKafkaLogLevel::Info);
    config
}

/// Passes a log line of the library on. What it calls an error is a warning here: it goes on trying by itself, and
/// whatever needs attention also arrives as an error value.
pub(super) fn log(client: &str, level: RDKafkaLogLevel, facility: &str, text: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", client, facility, detail = text, "client log");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            tracing::warn!(target: "librdkafka", client, facility, detail = text, "client log");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", client, facility, detail = text, "client log");
        }
        RDKafkaLogLevel::Debug => {
            tracing::debug!(target: "librdkafka", client, facility, detail = text, "client log");
        }
    }
}
