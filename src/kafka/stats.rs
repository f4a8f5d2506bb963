//! What little is taken from the client's statistics: where partitions end, what is prefetched, whether anybody is there.

use std::collections::HashMap;

use serde::Deserialize;

/// One statistics event; everything not named here is skipped unparsed.
#[derive(Debug, Deserialize)]
pub(super) struct Statistics {
    #[serde(default)]
    pub topics: HashMap<String, TopicStatistics>,
    #[serde(default)]
    brokers: HashMap<String, BrokerStatistics>,
}

#[derive(Debug, Deserialize)]
struct BrokerStatistics {
    state: String,
}

impl Statistics {
    /// Whether any broker is connected.
    pub(super) fn is_connected(&self) -> bool {
        self.brokers.values().any(|broker| broker.state == "UP")
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct TopicStatistics {
    #[serde(default)]
    pub partitions: HashMap<String, PartitionStatistics>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PartitionStatistics {
    /// The partition; -1 is the client's internal one.
    pub partition: i32,
    /// Bytes prefetched and not yet polled.
    #[serde(default)]
    pub fetchq_size: u64,
    /// The last stable offset; negative until known.
    #[serde(default = "unknown")]
    pub ls_offset: i64,
    /// The high watermark; negative until known.
    #[serde(default = "unknown")]
    pub hi_offset: i64,
}

impl PartitionStatistics {
    /// Up to where a committed reader can read, when known.
    pub(super) fn end(&self) -> Option<i64> {
        [self.ls_offset, self.hi_offset].into_iter().find(|offset| *offset >= 0)
    }
}

fn unknown() -> i64 {
    -1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_the_last_stable_offset_and_unknown_ones_are_not_zero() {
        let text = r#"{"name":"x","topics":{"t":{"topic":"t","partitions":{
            "0":{"partition":0,"fetchq_size":7,"ls_offset":5,"hi_offset":9,"more":{}},
            "1":{"partition":1,"fetchq_size":0,"ls_offset":-1001,"hi_offset":-1001}}}}}"#;
        let statistics: Statistics = serde_json::from_str(text).expect("statistics");
        let partitions = &statistics.topics["t"].partitions;
        assert_eq!(partitions["0"].end(), Some(5));
        assert_eq!(partitions["1"].end(), None);
        assert_eq!(partitions["0"].fetchq_size, 7);
    }

    #[test]
    fn one_connected_broker_is_enough_and_none_is_not() {
        let connected = |states: [&str; 2]| {
            let [one, other] = states.map(|state| format!(r#"{{"nodeid":1,"state":"{state}"}}"#));
            let text = format!(r#"{{"brokers":{{"a:1/bootstrap":{one},"GroupCoordinator":{other}}}}}"#);
            serde_json::from_str::<Statistics>(&text).expect("statistics").is_connected()
        };
        assert!(connected(["UP", "DOWN"]) && connected(["INIT", "UP"]));
        assert!(!connected(["TRY_CONNECT", "DOWN"]));
    }
}
