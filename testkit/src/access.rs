//! Users of a secured broker and what is denied to them. Everything that no rule denies is allowed.

use rdkafka::ClientConfig;

use crate::broker::Broker;

/// A user of a secured broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// May do everything, whatever the rules say.
    Admin,
    /// May do what no rule denies: the service under test.
    Svc,
}

impl User {
    /// The name to log in with.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Svc => "svc",
        }
    }

    /// The password to log in with, as `scripts/kafka` sets it.
    #[must_use]
    pub fn password(self) -> &'static str {
        match self {
            Self::Admin => "admin-secret",
            Self::Svc => "svc-secret",
        }
    }
}

impl Broker {
    /// What a client needs to connect as a user.
    #[must_use]
    pub fn client_config_as(&self, user: User) -> ClientConfig {
        let mut config = self.client_config();
        config.set("bootstrap.servers", self.sasl_bootstrap());
        config.set("security.protocol", "SASL_PLAINTEXT").set("sasl.mechanisms", "PLAIN");
        config.set("sasl.username", user.name()).set("sasl.password", user.password());
        config
    }

    /// Gives a user another password, which takes a restart of the broker; returns when it answers.
    pub fn set_password(&self, user: User, password: &str) {
        let entry = |of: User| {
            let password = if of == user { password } else { of.password() };
            format!("user_{}=\"{password}\"", of.name())
        };
        let entries = [User::Admin, User::Svc].map(entry).join(" ");
        let module = "org.apache.kafka.common.security.plain.PlainLoginModule";
        self.restart_with("listener.name.sasl.plain.sasl.jaas.config", format!("{module} required {entries};"));
    }

    /// Denies a topic to a user: from then on neither read, written nor described. Takes about a second.
    pub fn deny_topic(&self, user: User, topic: &str) {
        self.change_rule(&["--add"], user, "--topic", topic);
    }

    /// Takes back [`deny_topic`](Self::deny_topic).
    pub fn allow_topic(&self, user: User, topic: &str) {
        self.change_rule(&["--remove", "--force"], user, "--topic", topic);
    }

    /// Denies a group to a user: neither joined nor committed to.
    pub fn deny_group(&self, user: User, group: &str) {
        self.change_rule(&["--add"], user, "--group", group);
    }

    /// Takes back [`deny_group`](Self::deny_group).
    pub fn allow_group(&self, user: User, group: &str) {
        self.change_rule(&["--remove", "--force"], user, "--group", group);
    }

    fn change_rule(&self, change: &[&str], user: User, kind: &str, name: &str) {
        let principal = format!("User:{}", user.name());
        let rule = ["--deny-principal", &principal, "--operation", "All", kind, name];
        let output = self.tool("kafka-acls", change.iter().chain(&rule));
        assert!(output.status.success(), "the rule was not changed: {}", String::from_utf8_lossy(&output.stderr));
    }
}
