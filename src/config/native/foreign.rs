//! Names that other Kafka clients have and librdkafka has not, and what to write instead.
//! Java, aiokafka and kafka-python differ only in spelling, so one list in dotted form serves all three.

use super::catalogue::{self, Scope};

/// What a misplaced or foreign name wants, if anything is known about it. `name` may be spelt with dots or
/// underscores; `table` is where it was found, e.g. `kafka.consumer`.
pub(in crate::config) fn advice(name: &str, table: &str) -> Option<String> {
    let dotted = name.to_ascii_lowercase().replace('_', ".");
    let own = OWN_KEYS.iter().find(|(key, _, _)| *key == dotted || key.replace('-', ".") == dotted);
    if let Some((_, key, home)) = own.filter(|(_, key, home)| *home != table || *key != name) {
        return Some(format!("write `{key}` in [{home}]"));
    }
    if let Some((_, advice)) = FOREIGN.iter().find(|(foreign, _)| *foreign == dotted) {
        return Some((*advice).to_owned());
    }
    if dotted == "request.timeout.ms" && table != "kafka.properties" {
        return Some(
            "write \"socket.timeout.ms\" in [kafka.properties] for requests of a consumer, \
             \"request.timeout.ms\" for how long the producer's requests may wait for replicas, \
             \"message.timeout.ms\" for a whole delivery"
                .to_owned(),
        );
    }
    let native = catalogue::find(&dotted)?;
    match (table, native.scope) {
        ("kafka.properties", _) if dotted != name => Some(format!("write \"{dotted}\"")),
        ("kafka.properties", _) => None,
        ("kafka.consumer", Scope::Producer) => {
            Some(format!("it concerns the producer: write \"{dotted}\" in [kafka.properties]"))
        }
        ("kafka.producer", Scope::Consumer) => {
            Some(format!("it concerns consumers: write \"{dotted}\" in [kafka.properties]"))
        }
        _ => Some(format!("it is a native property: write \"{dotted}\" in [kafka.properties]")),
    }
}

/// Names for which quorate has a key of its own: dotted form, key, table.
const OWN_KEYS: &[(&str, &str, &str)] = &[
    ("acks", "acks", "kafka.producer"),
    ("auto.commit.interval.ms", "auto_commit_interval_ms", "kafka.consumer"),
    ("auto.offset.reset", "auto_offset_reset", "kafka.consumer"),
    ("bootstrap.servers", "bootstrap_servers", "kafka"),
    ("compression.type", "compression_type", "kafka.producer"),
    ("enable.auto.commit", "enable_auto_commit", "kafka.consumer"),
    ("enable.idempotence", "enable_idempotence", "kafka.producer"),
    ("fetch.max.bytes", "fetch_max_bytes", "kafka.consumer"),
    ("fetch.max.wait.ms", "fetch_max_wait_ms", "kafka.consumer"),
    ("fetch.min.bytes", "fetch_min_bytes", "kafka.consumer"),
    ("group.id", "group_id", "kafka.consumer"),
    ("group.instance.id", "instance_id", "kafka.consumer"),
    ("group.protocol", "protocol", "kafka.consumer"),
    ("heartbeat.interval.ms", "heartbeat_interval_ms", "kafka.consumer"),
    ("linger.ms", "linger_ms", "kafka.producer"),
    ("listener.missing-topics-fatal", "missing_topic", "kafka.consumer"),
    ("max.partition.fetch.bytes", "max_partition_fetch_bytes", "kafka.consumer"),
    ("max.poll.interval.ms", "max_poll_interval_ms", "kafka.consumer"),
    ("max.poll.records", "max_poll_records", "kafka.consumer"),
    ("rebalance.timeout.ms", "max_poll_interval_ms", "kafka.consumer"),
    ("sasl.mechanism", "sasl_mechanism", "kafka.security"),
    ("sasl.plain.password", "password", "kafka.security"),
    ("sasl.plain.username", "username", "kafka.security"),
    ("security.protocol", "protocol", "kafka.security"),
    ("session.timeout.ms", "session_timeout_ms", "kafka.consumer"),
    ("ssl.cafile", "ca", "kafka.security"),
    ("ssl.certfile", "certificate", "kafka.security"),
    ("ssl.keyfile", "key", "kafka.security"),
];

const BYTES_ONLY: &str = "remove it: clients carry bytes, quorate reads JSON itself and dead-letters what is none";
const PEM: &str = "write `certificate` and `key` (PEM files) in [kafka.security]";
const TRUST: &str = "write `ca` (a PEM file) in [kafka.security]";
const NOT_NEEDED: &str = "remove it: librdkafka negotiates or decides this itself";

const FOREIGN: &[(&str, &str)] = &[
    ("api.version", NOT_NEEDED),
    ("api.version.auto.timeout.ms", "write \"api.version.request.timeout.ms\" in [kafka.properties]"),
    ("bootstrap.topics.filter", NOT_NEEDED),
    ("buffer.memory", "write \"queue.buffering.max.kbytes\" in [kafka.properties] (KiB, not bytes)"),
    ("compression.gzip.level", "write \"compression.level\" in [kafka.properties]"),
    ("compression.lz4.level", "write \"compression.level\" in [kafka.properties]"),
    ("compression.zstd.level", "write \"compression.level\" in [kafka.properties]"),
    ("consumer.timeout.ms", "remove it: quorate polls for ever and stops on a signal"),
    ("default.api.timeout.ms", "write \"socket.timeout.ms\" in [kafka.properties]"),
    ("exclude.internal.topics", "remove it: only configured topics are subscribed"),
    ("interceptor.classes", "remove it: interceptors are Java classes; quorate has metrics and logs of its own"),
    ("key.deserializer", BYTES_ONLY),
    ("key.serializer", BYTES_ONLY),
    ("max.batch.size", "write \"batch.size\" in [kafka.properties]"),
    ("max.block.ms", "remove it: quorate waits while the producer's queue is full, and its own queues are bounded"),
    ("max.in.flight.requests", "write \"max.in.flight\" in [kafka.properties]"),
    ("max.request.size", "write \"message.max.bytes\" in [kafka.properties]"),
    ("metadata.max.idle.ms", NOT_NEEDED),
    ("metric.reporters", "remove it: metrics are served over HTTP"),
    ("metrics.num.samples", "remove it: metrics are served over HTTP"),
    ("metrics.recording.level", "remove it: metrics are served over HTTP"),
    ("metrics.sample.window.ms", "remove it: metrics are served over HTTP"),
    ("partitioner.class", "write \"partitioner\" in [kafka.properties], e.g. \"murmur2_random\", which is Java's"),
    ("partitioner.ignore.keys", "write \"partitioner\" in [kafka.properties]"),
    ("receive.buffer.bytes", "write \"socket.receive.buffer.bytes\" in [kafka.properties]"),
    ("sasl.jaas.config", "write `username` and `password` in [kafka.security]"),
    ("sasl.login.callback.handler.class", NOT_NEEDED),
    ("sasl.oauth.token.provider", "write \"sasl.oauthbearer.method\" in [kafka.properties]"),
    ("send.buffer.bytes", "write \"socket.send.buffer.bytes\" in [kafka.properties]"),
    ("socket.connection.setup.timeout.max.ms", "write \"socket.connection.setup.timeout.ms\" in [kafka.properties]"),
    ("ssl.check.hostname", "write \"ssl.endpoint.identification.algorithm\" in [kafka.properties]"),
    ("ssl.ciphers", "write \"ssl.cipher.suites\" in [kafka.properties]"),
    ("ssl.context", PEM),
    ("ssl.crlfile", "write \"ssl.crl.location\" in [kafka.properties]"),
    ("ssl.enabled.protocols", NOT_NEEDED),
    ("ssl.keystore.certificate.chain", PEM),
    ("ssl.keystore.key", PEM),
    ("ssl.keystore.type", PEM),
    ("ssl.password", "write \"ssl.key.password\" in [kafka.properties]"),
    ("ssl.protocol", NOT_NEEDED),
    ("ssl.truststore.certificates", TRUST),
    ("ssl.truststore.location", TRUST),
    ("ssl.truststore.password", TRUST),
    ("ssl.truststore.type", TRUST),
    ("value.deserializer", BYTES_ONLY),
    ("value.serializer", BYTES_ONLY),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_2_01_no_foreign_name_is_a_native_one() {
        for (name, _) in FOREIGN {
            assert_eq!(catalogue::find(name), None, "{name}");
        }
    }

    #[test]
    fn advice_names_only_native_properties_that_exist() {
        for (name, advice) in FOREIGN {
            let quoted = advice.split('"').nth(1).filter(|_| advice.contains("[kafka.properties]"));
            assert!(quoted.is_none_or(|native| catalogue::find(native).is_some()), "{name}");
        }
    }
}
