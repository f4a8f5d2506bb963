//! Free loopback ports for a broker.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

/// The first port of a broker; its other listeners follow at fixed distances.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    base: u16,
}

/// Below 32768, where the system takes ports for outgoing connections: a broker that is down for a while must find
/// its ports free when it comes back.
const LOWEST: u16 = 20_000;
const SPAN: u16 = 12_000;

/// Distances from the base that `scripts/kafka` documents: clients, controller, SASL clients.
const OFFSETS: [u16; 3] = [0, 10, 20];

/// Where the listeners behind proxies begin, and how many there can be.
const BEHIND_PROXIES: u16 = 30;
pub(crate) const MOST_PROXIES: u16 = 8;

impl Ports {
    /// Ports that nobody listens at. Another process may take them before the broker does; then try again.
    pub(crate) fn free() -> Self {
        (0..1_000u64)
            .map(|attempt| Self { base: LOWEST + (RandomState::new().hash_one(attempt) % u64::from(SPAN)) as u16 })
            .find(Self::are_free)
            .expect("a thousand tries find free ports")
    }

    fn are_free(&self) -> bool {
        let behind = BEHIND_PROXIES..BEHIND_PROXIES + MOST_PROXIES;
        OFFSETS
            .into_iter()
            .chain(behind)
            .all(|offset| TcpListener::bind((Ipv4Addr::LOCALHOST, self.base + offset)).is_ok())
    }

    pub(crate) fn base(self) -> u16 {
        self.base
    }

    pub(crate) fn plain(self) -> String {
        format!("127.0.0.1:{}", self.base)
    }

    pub(crate) fn controller(self) -> String {
        format!("127.0.0.1:{}", self.base + OFFSETS[1])
    }

    /// Where the broker listens for what comes through a proxy.
    pub(crate) fn behind_proxy(self, nth: u16) -> u16 {
        self.base + BEHIND_PROXIES + nth
    }

    pub(crate) fn sasl(self) -> String {
        format!("127.0.0.1:{}", self.base + OFFSETS[2])
    }
}
