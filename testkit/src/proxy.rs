//! [`Proxy`]: a bad network between clients and a broker, on loopback: slow, held up, cut, half open, or untrue.
//! Knows bytes and connections, nothing of what they carry.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

/// Bytes read at once, and how many such chunks a direction of a connection holds before its sender has to wait.
const CHUNK_BYTES: usize = 16 * 1024;
const CHUNKS: usize = 64;

/// How long a write to a full connection goes on before it is looked whether the connection is to live.
const WRITE_PATIENCE: Duration = Duration::from_millis(200);

/// A direction of all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What clients ask.
    ToBroker,
    /// What the broker answers.
    ToClient,
}

/// A proxy in front of one broker. Without faults it passes everything on. Gone, with its connections, when it is
/// dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    network: Arc<Network>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens at a free port of loopback for a broker at another one, which need not be there yet.
    pub(crate) fn start(broker_port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let address = listener.local_addr().expect("a bound listener has an address");
        let network = Arc::new(Network { broker_port, ..Network::default() });
        let accepting = spawn("proxy-accept", {
            let network = Arc::clone(&network);
            move || network.accept_all(&listener)
        });
        Self { address, network, accepting: Some(accepting) }
    }

    /// Where clients connect to reach the broker through this proxy.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections of clients, half open ones included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.network.state().links.len()
    }

    /// Lets every byte of a direction arrive so much later.
    pub fn delay(&self, direction: Direction, by: Duration) {
        self.network.change(|state| state.flow(direction).delay = by);
    }

    /// Lets each connection carry so many bytes a second in a direction.
    pub fn throttle(&self, direction: Direction, bytes_per_second: u32) {
        self.network.change(|state| state.flow(direction).bytes_per_second = Some(bytes_per_second.max(1)));
    }

    /// Holds a direction up: connections stay, nothing arrives. What is under way arrives, in order, after
    /// [`heal`](Self::heal), as it does once packets get through again.
    pub fn hold(&self, direction: Direction) {
        self.network.change(|state| state.flow(direction).held = true);
    }

    /// Flips a bit of what follows these bytes, wherever they pass in a direction, so many times in all and at most once
    /// in what is read at once. [`heal`](Self::heal) does not end this.
    pub fn flip_after(&self, direction: Direction, bytes: &[u8], times: usize) {
        self.network.change(|state| {
            state.flip = Some(Flip { direction, after: bytes.to_vec() });
            state.flips_left = times;
        });
    }

    /// How often [`flip_after`](Self::flip_after) has still to happen.
    #[must_use]
    pub fn flips_left(&self) -> usize {
        self.network.state().flips_left
    }

    /// Resets every connection; new ones are welcome.
    pub fn cut(&self) {
        self.network.change(|state| std::mem::take(&mut state.links).into_values().for_each(Link::reset));
    }

    /// Takes the broker's end away without a word: clients keep their connections, may open more, and are never
    /// answered. [`heal`](Self::heal) resets these connections.
    pub fn half_open(&self) {
        self.network.change(|state| {
            state.half_open = true;
            state.links.values_mut().for_each(Link::sever);
        });
    }

    /// Ends every fault.
    pub fn heal(&self) {
        self.network.change(|state| {
            state.flows = Default::default();
            state.half_open = false;
            let severed: Vec<u64> =
                state.links.iter().filter(|(_, link)| link.is_severed()).map(|(id, _)| *id).collect();
            severed.iter().filter_map(|id| state.links.remove(id)).for_each(Link::reset);
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.change(|state| state.closed = true);
        self.cut();
        // Wakes whoever accepts; there is nobody to wake when this fails.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// How a direction is at the moment.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    delay: Duration,
    bytes_per_second: Option<u32>,
    held: bool,
}

/// Which bit to flip: one of the byte after these.
#[derive(Debug)]
struct Flip {
    direction: Direction,
    after: Vec<u8>,
}

/// One connection of a client.
#[derive(Debug)]
struct Link {
    client: TcpStream,
    /// None when the broker's end is gone.
    broker: Option<TcpStream>,
}

impl Link {
    fn is_severed(&self) -> bool {
        self.broker.is_none()
    }

    fn sever(&mut self) {
        self.broker.take().into_iter().for_each(|broker| reset(&broker));
    }

    fn reset(self) {
        reset(&self.client);
        self.broker.iter().for_each(reset);
    }
}

/// Ends a connection by a reset: sent once its last user has let go of it, which the closed reading side brings about.
fn reset(stream: &TcpStream) {
    // Whatever fails here is closed already.
    let _ = set_socket_linger(stream, Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Read);
}

#[derive(Debug, Default)]
struct State {
    flows: [Flow; 2],
    half_open: bool,
    closed: bool,
    flip: Option<Flip>,
    flips_left: usize,
    /// Connections that live, by number.
    links: BTreeMap<u64, Link>,
    next: u64,
}

impl State {
    fn flow(&mut self, direction: Direction) -> &mut Flow {
        &mut self.flows[direction as usize]
    }

    fn flip(&mut self, direction: Direction, bytes: &mut [u8]) {
        let Some(Flip { after, .. }) = self.flip.as_ref().filter(|flip| flip.direction == direction) else { return };
        let end = bytes.windows(after.len()).rposition(|window| window == after).map(|at| at + after.len());
        if let Some(byte) = end.and_then(|end| bytes.get_mut(end)).filter(|_| self.flips_left > 0) {
            *byte ^= 1;
            self.flips_left -= 1;
        }
    }
}

/// Bytes on their way, and when they may arrive.
struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
}

/// What connections share.
#[derive(Debug, Default)]
struct Network {
    broker_port: u16,
    state: Mutex<State>,
    changed: Condvar,
}

impl Network {
    /// A thread that panicked while it held the lock left nothing half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    fn accept_all(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.state().closed {
                return;
            }
            if let Ok(client) = client {
                // A client that is gone again needs no connection.
                let _ = self.connect(client);
            }
        }
    }

    /// Joins a client with the broker, or with nobody while connections are half open.
    fn connect(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let broker = if self.state().half_open {
            None
        } else {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, self.broker_port)) {
                Ok(broker) => Some(broker),
                Err(refused) => {
                    reset(&client);
                    return Err(refused);
                }
            }
        };
        for stream in std::iter::once(&client).chain(&broker) {
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(WRITE_PATIENCE))?;
        }
        let from_client = client.try_clone()?;
        let to_broker = broker.as_ref().map(TcpStream::try_clone).transpose()?;
        let answers = broker.as_ref().map(|broker| Ok::<_, io::Error>((broker.try_clone()?, client.try_clone()?)));
        let answers = answers.transpose()?;
        let mut state = self.state();
        let mut link = Link { client, broker };
        if state.half_open {
            link.sever();
        }
        let id = state.next;
        state.next += 1;
        state.links.insert(id, link);
        drop(state);
        self.pump(id, Direction::ToBroker, from_client, to_broker);
        if let Some((broker, client)) = answers {
            self.pump(id, Direction::ToClient, broker, Some(client));
        }
        Ok(())
    }

    /// Moves one direction of a connection, by a thread that reads and one that writes.
    fn pump(self: &Arc<Self>, id: u64, direction: Direction, from: TcpStream, to: Option<TcpStream>) {
        let (sender, chunks) = sync_channel(CHUNKS);
        let network = Arc::clone(self);
        spawn("proxy-read", move || network.read(direction, from, &sender));
        let network = Arc::clone(self);
        spawn("proxy-write", move || network.write(id, direction, to, &chunks));
    }

    fn read(&self, direction: Direction, mut from: TcpStream, chunks: &SyncSender<Chunk>) {
        let mut buffer = vec![0; CHUNK_BYTES];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let mut state = self.state();
            state.flip(direction, &mut buffer[..count]);
            let due = Instant::now() + state.flow(direction).delay;
            drop(state);
            if chunks.send(Chunk { due, bytes: buffer[..count].to_vec() }).is_err() {
                return;
            }
        }
    }

    fn write(&self, id: u64, direction: Direction, mut to: Option<TcpStream>, chunks: &Receiver<Chunk>) {
        for chunk in chunks {
            let Some(severed) = self.wait_turn(id, direction, chunk.due) else { return };
            if severed {
                to = None;
            }
            let Some(stream) = &mut to else { continue };
            if !self.deliver(id, stream, &chunk.bytes) {
                break;
            }
            let rate = self.state().flow(direction).bytes_per_second;
            if let Some(rate) = rate {
                let pause = Duration::from_secs_f64(chunk.bytes.len() as f64 / f64::from(rate));
                if self.wait_turn(id, direction, Instant::now() + pause).is_none() {
                    return;
                }
            }
        }
        self.end(id, direction);
    }

    /// Waits until bytes of a connection may arrive, and says whether it is severed; none when it is gone.
    fn wait_turn(&self, id: u64, direction: Direction, due: Instant) -> Option<bool> {
        let mut state = self.state();
        loop {
            let severed = state.links.get(&id)?.is_severed();
            let left = due.saturating_duration_since(Instant::now());
            if severed || (left.is_zero() && !state.flow(direction).held) {
                return Some(severed);
            }
            let bound = if left.is_zero() { Duration::from_secs(3600) } else { left };
            state = self.changed.wait_timeout(state, bound).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes bytes, as long as the connection lives; says whether all were written.
    fn deliver(&self, id: u64, to: &mut TcpStream, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match to.write(bytes) {
                Ok(count @ 1..) => bytes = &bytes[count..],
                Err(why)
                    if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) =>
                {
                    if !self.state().links.contains_key(&id) {
                        return false;
                    }
                }
                Ok(_) | Err(_) => return false,
            }
        }
        true
    }

    /// One end has closed, and what it sent has arrived: the other end is closed as well, unless the one that closed
    /// is the broker's of a severed connection.
    fn end(&self, id: u64, direction: Direction) {
        let mut state = self.state();
        if state.links.get(&id).is_some_and(|link| link.is_severed() && direction == Direction::ToClient) {
            return;
        }
        if let Some(link) = state.links.remove(&id) {
            for stream in std::iter::once(&link.client).chain(&link.broker) {
                // It may have been closed by the peer.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        drop(state);
        self.changed.notify_all();
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).expect("a thread can be started")
}

#[cfg(test)]
mod tests;
