//! The native properties of librdkafka 2.12.1: their names, whom they concern and what they take.
//! Facts only; what quorate allows of them is decided in [`super::passthrough`].

use Kind::{Acks, Bool, Code, Float, Int, OneOf, Secret, Text};

/// Whom a property concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Scope {
    Both,
    Consumer,
    Producer,
}

/// What a property takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::config) enum Kind {
    Bool,
    /// An integer between the two, both included.
    Int(i64, i64),
    /// A number between the two, both included.
    Float(i64, i64),
    OneOf(&'static [&'static str]),
    /// `all`, or how many replicas must have a record.
    Acks,
    Text,
    /// Text that must never be shown.
    Secret,
    /// A callback or object: nothing a file can hold.
    Code,
}

/// One property under its canonical name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::config) struct Native {
    pub(in crate::config) name: &'static str,
    pub(in crate::config) scope: Scope,
    pub(in crate::config) kind: Kind,
}

/// The property called `name`, by whichever of its names.
pub(in crate::config) fn find(name: &str) -> Option<&'static Native> {
    let canonical = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, canonical)| canonical);
    CATALOGUE.iter().find(|native| native.name == canonical)
}

/// Every name there is, aliases included.
pub(in crate::config) fn names() -> impl Iterator<Item = &'static str> {
    CATALOGUE.iter().map(|native| native.name).chain(ALIASES.iter().map(|(alias, _)| *alias))
}

const fn both(name: &'static str, kind: Kind) -> Native {
    Native { name, scope: Scope::Both, kind }
}

const fn consumer(name: &'static str, kind: Kind) -> Native {
    Native { name, scope: Scope::Consumer, kind }
}

const fn producer(name: &'static str, kind: Kind) -> Native {
    Native { name, scope: Scope::Producer, kind }
}

/// Second names and what they stand for. The client takes either; two at once would win at random.
const ALIASES: &[(&str, &str)] = &[
    ("auto.commit.enable", "enable.auto.commit"),
    ("compression.codec", "compression.type"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("fetch.message.max.bytes", "max.partition.fetch.bytes"),
    ("max.in.flight.requests.per.connection", "max.in.flight"),
    ("message.send.max.retries", "retries"),
    ("metadata.broker.list", "bootstrap.servers"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("request.required.acks", "acks"),
    ("sasl.mechanism", "sasl.mechanisms"),
    ("sasl.oauthbearer.client.credentials.client.id", "sasl.oauthbearer.client.id"),
    ("sasl.oauthbearer.client.credentials.client.secret", "sasl.oauthbearer.client.secret"),
];

const CATALOGUE: &[Native] = &[
    producer("acks", Acks),
    both("allow.auto.create.topics", Bool),
    both("api.version.fallback.ms", Int(0, 604_800_000)),
    both("api.version.request", Bool),
    both("api.version.request.timeout.ms", Int(1, 300_000)),
    consumer("auto.commit.interval.ms", Int(0, 86_400_000)),
    consumer("auto.offset.reset", OneOf(&["smallest", "earliest", "beginning", "largest", "latest", "end", "error"])),
    both("background_event_cb", Code),
    producer("batch.num.messages", Int(1, 1_000_000)),
    producer("batch.size", Int(1, 2_147_483_647)),
    both("bootstrap.servers", Text),
    both("broker.address.family", OneOf(&["any", "v4", "v6"])),
    both("broker.address.ttl", Int(0, 86_400_000)),
    both("broker.version.fallback", Text),
    both("builtin.features", Text),
    consumer("check.crcs", Bool),
    both("client.dns.lookup", OneOf(&["use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"])),
    both("client.id", Text),
    both("client.rack", Text),
    both("closesocket_cb", Code),
    producer("compression.level", Int(-1, 12)),
    producer("compression.type", OneOf(&["none", "gzip", "snappy", "lz4", "zstd"])),
    both("connect_cb", Code),
    both("connections.max.idle.ms", Int(0, 2_147_483_647)),
    consumer("consume.callback.max.messages", Int(0, 1_000_000)),
    consumer("consume_cb", Code),
    consumer("coordinator.query.interval.ms", Int(1, 3_600_000)),
    both("debug", Text),
    both("default_topic_conf", Code),
    producer("delivery.report.only.error", Bool),
    producer("dr_cb", Code),
    producer("dr_msg_cb", Code),
    consumer("enable.auto.commit", Bool),
    consumer("enable.auto.offset.store", Bool),
    producer("enable.gapless.guarantee", Bool),
    producer("enable.idempotence", Bool),
    both("enable.metrics.push", Bool),
    consumer("enable.partition.eof", Bool),
    both("enable.random.seed", Bool),
    both("enable.sasl.oauthbearer.unsecure.jwt", Bool),
    both("enable.ssl.certificate.verification", Bool),
    both("enabled_events", Int(0, 2_147_483_647)),
    both("error_cb", Code),
    consumer("fetch.error.backoff.ms", Int(0, 300_000)),
    consumer("fetch.max.bytes", Int(0, 2_147_483_135)),
    consumer("fetch.min.bytes", Int(1, 100_000_000)),
    consumer("fetch.queue.backoff.ms", Int(0, 300_000)),
    consumer("fetch.wait.max.ms", Int(0, 300_000)),
    consumer("group.id", Text),
    consumer("group.instance.id", Text),
    consumer("group.protocol", OneOf(&["classic", "consumer"])),
    consumer("group.protocol.type", Text),
    consumer("group.remote.assignor", Text),
    consumer("heartbeat.interval.ms", Int(1, 3_600_000)),
    both("https.ca.location", Text),
    both("https.ca.pem", Text),
    both("interceptors", Code),
    both("internal.termination.signal", Int(0, 128)),
    consumer("isolation.level", OneOf(&["read_uncommitted", "read_committed"])),
    producer("linger.ms", Float(0, 900_000)),
    both("log.connection.close", Bool),
    both("log.queue", Bool),
    both("log.thread.name", Bool),
    both("log_cb", Code),
    both("log_level", Int(0, 7)),
    both("max.in.flight", Int(1, 1_000_000)),
    consumer("max.partition.fetch.bytes", Int(1, 1_000_000_000)),
    consumer("max.poll.interval.ms", Int(1, 86_400_000)),
    both("message.copy.max.bytes", Int(0, 1_000_000_000)),
    both("message.max.bytes", Int(1_000, 1_000_000_000)),
    producer("message.timeout.ms", Int(0, 2_147_483_647)),
    both("metadata.max.age.ms", Int(1, 86_400_000)),
    both("metadata.recovery.rebootstrap.trigger.ms", Int(0, 2_147_483_647)),
    both("metadata.recovery.strategy", OneOf(&["none", "rebootstrap"])),
    producer("msg_order_cmp", Code),
    both("oauthbearer_token_refresh_cb", Code),
    consumer("offset.store.method", OneOf(&["none", "file", "broker"])),
    consumer("offset.store.path", Text),
    consumer("offset.store.sync.interval.ms", Int(-1, 86_400_000)),
    consumer("offset_commit_cb", Code),
    both("opaque", Code),
    both("open_cb", Code),
    consumer("partition.assignment.strategy", Text),
    producer("partitioner", Text),
    producer("partitioner_cb", Code),
    both("plugin.library.paths", Text),
    producer("produce.offset.report", Bool),
    producer("queue.buffering.backpressure.threshold", Int(1, 1_000_000)),
    producer("queue.buffering.max.kbytes", Int(1, 2_147_483_647)),
    producer("queue.buffering.max.messages", Int(0, 2_147_483_647)),
    consumer("queued.max.messages.kbytes", Int(1, 2_097_151)),
    consumer("queued.min.messages", Int(1, 10_000_000)),
    producer("queuing.strategy", OneOf(&["fifo", "lifo"])),
    consumer("rebalance_cb", Code),
    both("receive.message.max.bytes", Int(1_000, 2_147_483_647)),
    both("reconnect.backoff.jitter.ms", Int(0, 3_600_000)),
    both("reconnect.backoff.max.ms", Int(0, 3_600_000)),
    both("reconnect.backoff.ms", Int(0, 3_600_000)),
    producer("request.timeout.ms", Int(1, 900_000)),
    both("resolve_cb", Code),
    producer("retries", Int(0, 2_147_483_647)),
    both("retry.backoff.max.ms", Int(1, 300_000)),
    both("retry.backoff.ms", Int(1, 300_000)),
    both("sasl.kerberos.keytab", Text),
    both("sasl.kerberos.kinit.cmd", Text),
    both("sasl.kerberos.min.time.before.relogin", Int(0, 86_400_000)),
    both("sasl.kerberos.principal", Text),
    both("sasl.kerberos.service.name", Text),
    both("sasl.mechanisms", Text),
    both("sasl.oauthbearer.assertion.algorithm", OneOf(&["RS256", "ES256"])),
    both("sasl.oauthbearer.assertion.claim.aud", Text),
    both("sasl.oauthbearer.assertion.claim.exp.seconds", Int(1, 2_147_483_647)),
    both("sasl.oauthbearer.assertion.claim.iss", Text),
    both("sasl.oauthbearer.assertion.claim.jti.include", Bool),
    both("sasl.oauthbearer.assertion.claim.nbf.seconds", Int(0, 2_147_483_647)),
    both("sasl.oauthbearer.assertion.claim.sub", Text),
    both("sasl.oauthbearer.assertion.file", Text),
    both("sasl.oauthbearer.assertion.jwt.template.file", Text),
    both("sasl.oauthbearer.assertion.private.key.file", Text),
    both("sasl.oauthbearer.assertion.private.key.passphrase", Secret),
    both("sasl.oauthbearer.assertion.private.key.pem", Secret),
    both("sasl.oauthbearer.client.id", Text),
    both("sasl.oauthbearer.client.secret", Secret),
    both("sasl.oauthbearer.config", Secret),
    both("sasl.oauthbearer.extensions", Text),
    both("sasl.oauthbearer.grant.type", OneOf(&["client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"])),
    both("sasl.oauthbearer.metadata.authentication.type", OneOf(&["none", "azure_imds"])),
    both("sasl.oauthbearer.method", OneOf(&["default", "oidc"])),
    both("sasl.oauthbearer.scope", Text),
    both("sasl.oauthbearer.token.endpoint.url", Text),
    both("sasl.password", Secret),
    both("sasl.username", Text),
    both("security.protocol", OneOf(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"])),
    consumer("session.timeout.ms", Int(1, 3_600_000)),
    both("socket.blocking.max.ms", Int(1, 60_000)),
    both("socket.connection.setup.timeout.ms", Int(1_000, 2_147_483_647)),
    both("socket.keepalive.enable", Bool),
    both("socket.max.fails", Int(0, 1_000_000)),
    both("socket.nagle.disable", Bool),
    both("socket.receive.buffer.bytes", Int(0, 100_000_000)),
    both("socket.send.buffer.bytes", Int(0, 100_000_000)),
    both("socket.timeout.ms", Int(10, 300_000)),
    both("socket_cb", Code),
    both("ssl.ca.certificate.stores", Text),
    both("ssl.ca.location", Text),
    both("ssl.ca.pem", Text),
    both("ssl.certificate.location", Text),
    both("ssl.certificate.pem", Text),
    both("ssl.certificate.verify_cb", Code),
    both("ssl.cipher.suites", Text),
    both("ssl.crl.location", Text),
    both("ssl.curves.list", Text),
    both("ssl.endpoint.identification.algorithm", OneOf(&["none", "https"])),
    both("ssl.engine.id", Text),
    both("ssl.engine.location", Text),
    both("ssl.key.location", Text),
    both("ssl.key.password", Secret),
    both("ssl.key.pem", Secret),
    both("ssl.keystore.location", Text),
    both("ssl.keystore.password", Secret),
    both("ssl.providers", Text),
    both("ssl.sigalgs.list", Text),
    both("ssl_ca", Code),
    both("ssl_certificate", Code),
    both("ssl_engine_callback_data", Code),
    both("ssl_key", Code),
    both("statistics.interval.ms", Int(0, 86_400_000)),
    both("stats_cb", Code),
    producer("sticky.partitioning.linger.ms", Int(0, 900_000)),
    both("throttle_cb", Code),
    both("topic.blacklist", Text),
    both("topic.metadata.propagation.max.ms", Int(0, 3_600_000)),
    both("topic.metadata.refresh.fast.cnt", Int(0, 1_000)),
    both("topic.metadata.refresh.fast.interval.ms", Int(1, 60_000)),
    both("topic.metadata.refresh.interval.ms", Int(-1, 3_600_000)),
    both("topic.metadata.refresh.sparse", Bool),
    producer("transaction.timeout.ms", Int(1_000, 2_147_483_647)),
    producer("transactional.id", Text),
];
