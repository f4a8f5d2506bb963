//! What can go wrong with Kafka, sorted by what is done about it rather than by error code.

use std::fmt;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// This room could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum KafkaRoomError {
    /// A client was refused by the library: a property is wrong.
    #[error("client `{client}`: {source}")]
    Client {
        /// The client's purpose or group.
        client: String,
        /// What the library says.
        source: KafkaError,
    },
    /// A thread could not be started.
    #[error("thread for `{client}`: {source}")]
    Thread {
        /// The client's purpose or group.
        client: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A consumer names a topic for which there is no lane, name or setting.
    #[error("consumer `{group}`: topic {topic} is not configured")]
    UnknownTopic {
        /// The consumer's group.
        group: String,
        /// The topic's index.
        topic: u16,
    },
}

/// A difficulty with one topic or client, and its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What kind it is, hence what is done about it.
    pub kind: TroubleKind,
    /// What the client or broker said.
    pub detail: String,
}

/// Kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TroubleKind {
    /// The topic does not exist: ask for it again and again.
    Missing,
    /// Reading or writing the topic is not allowed: likewise.
    TopicDenied,
    /// Joining the group is not allowed: likewise.
    GroupDenied,
    /// A position no longer exists: look every partition up and assign anew.
    OutOfRange,
    /// The configuration says to stop here (`error`, `halt`): look again now and then, an operator may have moved it.
    Halted,
    /// No broker answers; the client reconnects by itself.
    Unreachable,
    /// Name, password or certificate are refused.
    LoginRefused,
    /// A batch failed its checksum: it is fetched again.
    Corrupt,
    /// The consumer thread polled too late and was put out of the group; it rejoins by itself.
    PolledTooLate,
    /// Another process took this member's place: it is left to it.
    Fenced,
    /// This member's place is not free yet: a new client, for as long as a session takes.
    Unreleased,
    /// The client is of no use any more: a new one.
    Fatal,
    /// Anything else; never swallowed.
    Other,
}

impl TroubleKind {
    /// The kind's name, as it stands in log fields and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::TopicDenied => "topic_denied",
            Self::GroupDenied => "group_denied",
            Self::OutOfRange => "out_of_range",
            Self::Halted => "halted",
            Self::Unreachable => "unreachable",
            Self::LoginRefused => "login_refused",
            Self::Corrupt => "corrupt",
            Self::PolledTooLate => "polled_too_late",
            Self::Fenced => "fenced",
            Self::Unreleased => "unreleased",
            Self::Fatal => "fatal",
            Self::Other => "other",
        }
    }

    /// What a code of the client library means to us.
    pub(super) fn of(code: Code) -> Self {
        match code {
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicId => {
                Self::Missing
            }
            Code::TopicAuthorizationFailed => Self::TopicDenied,
            Code::GroupAuthorizationFailed => Self::GroupDenied,
            Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation | Code::NoOffset => Self::OutOfRange,
            Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::MessageTimedOut
            | Code::RequestTimedOut
            | Code::WaitingForCoordinator
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::BrokerNotAvailable
            | Code::NetworkException => Self::Unreachable,
            Code::Authentication
            | Code::SSL
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState => Self::LoginRefused,
            Code::BadMessage | Code::InvalidMessage | Code::BadCompression => Self::Corrupt,
            Code::PollExceeded => Self::PolledTooLate,
            Code::Fenced | Code::FencedInstanceId => Self::Fenced,
            Code::UnreleasedInstanceId => Self::Unreleased,
            Code::Fatal => Self::Fatal,
            _ => Self::Other,
        }
    }
}

impl Trouble {
    /// A trouble with words of our own.
    pub(super) fn new(kind: TroubleKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// Sorts an error of the client library; fatal ones by that fact unless they say more.
    pub(super) fn of(error: &KafkaError) -> Self {
        let kind = error.rdkafka_error_code().map_or(TroubleKind::Other, TroubleKind::of);
        let says_more = matches!(kind, TroubleKind::Fenced | TroubleKind::Unreleased);
        let is_fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        let kind = if is_fatal && !says_more { TroubleKind::Fatal } else { kind };
        Self::new(kind, error.to_string())
    }

    /// Adds the client's own explanation, which names topic or broker where the code does not.
    pub(super) fn explained(mut self, reason: Option<String>) -> Self {
        if let Some(reason) = reason {
            self.detail = format!("{}: {reason}", self.detail);
        }
        self
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_is_sorted_by_what_is_done_about_it() {
        let of = |code| Trouble::of(&KafkaError::MessageConsumption(code)).kind;
        assert_eq!(of(Code::UnknownTopicOrPartition), TroubleKind::Missing);
        assert_eq!(of(Code::TopicAuthorizationFailed), TroubleKind::TopicDenied);
        assert_eq!(of(Code::AutoOffsetReset), TroubleKind::OutOfRange);
        assert_eq!(of(Code::AllBrokersDown), TroubleKind::Unreachable);
        assert_eq!(of(Code::PolicyViolation), TroubleKind::Other);
        let fatal = |code| Trouble::of(&KafkaError::MessageConsumptionFatal(code)).kind;
        assert_eq!(fatal(Code::FencedInstanceId), TroubleKind::Fenced);
        assert_eq!(fatal(Code::UnreleasedInstanceId), TroubleKind::Unreleased);
        assert_eq!(fatal(Code::UnknownTopicOrPartition), TroubleKind::Fatal);
    }
}
