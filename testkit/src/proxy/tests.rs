//! Each fault as the two ends of a connection see it. An echoing server stands for the broker.

use super::*;

/// Longer than anything takes that is not held up.
const SOON: Duration = Duration::from_secs(5);

/// Answers every connection with what it sent, until it ends.
fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    spawn("echo", move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            spawn("echo-one", move || {
                let mut buffer = [0; 1024];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..count]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

fn client(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.bootstrap()).expect("a connection");
    stream.set_read_timeout(Some(SOON)).expect("a time-out");
    stream
}

/// Sends a word and waits for it to come back.
fn ask(stream: &mut TcpStream, word: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(word)?;
    let mut answer = vec![0; word.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// Whether nothing arrives for a while.
fn is_silent(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(150))).expect("a time-out");
    let silent = stream.read(&mut [0; 1]).is_err_and(|why| why.kind() == ErrorKind::WouldBlock);
    stream.set_read_timeout(Some(SOON)).expect("a time-out");
    silent
}

#[test]
fn without_a_fault_everything_passes_and_a_close_reaches_the_other_end() {
    let proxy = Proxy::start(echo());
    let mut stream = client(&proxy);
    let long = vec![7; 300_000];
    let mut reader = stream.try_clone().expect("a handle");
    let reading = std::thread::spawn(move || {
        let mut all = vec![0; 300_000];
        reader.read_exact(&mut all).map(|()| all)
    });
    stream.write_all(&long).expect("sent");
    assert_eq!(reading.join().expect("no panic").expect("all of it"), long);
    assert_eq!(proxy.connections(), 1);
    drop(stream);
    crate::within(SOON, "the connection to end", || (proxy.connections() == 0).then_some(()));
}

#[test]
fn a_delay_of_each_direction_adds_up() {
    let proxy = Proxy::start(echo());
    let mut stream = client(&proxy);
    let each = Duration::from_millis(120);
    proxy.delay(Direction::ToBroker, each);
    proxy.delay(Direction::ToClient, each);
    let began = Instant::now();
    assert_eq!(ask(&mut stream, b"slow").expect("an answer"), b"slow");
    assert!(began.elapsed() >= 2 * each, "{:?}", began.elapsed());
    proxy.heal();
    let began = Instant::now();
    ask(&mut stream, b"fast").expect("an answer");
    assert!(began.elapsed() < each, "{:?}", began.elapsed());
}

#[test]
fn a_throttled_direction_takes_its_time() {
    let proxy = Proxy::start(echo());
    let mut stream = client(&proxy);
    proxy.throttle(Direction::ToBroker, 1000);
    let began = Instant::now();
    for _ in 0..3 {
        ask(&mut stream, &[1; 100]).expect("an answer");
    }
    assert!(began.elapsed() >= Duration::from_millis(200), "two pauses of 100 ms: {:?}", began.elapsed());
}

#[test]
fn what_is_held_arrives_after_healing() {
    for direction in [Direction::ToBroker, Direction::ToClient] {
        let proxy = Proxy::start(echo());
        let mut stream = client(&proxy);
        ask(&mut stream, b"first").expect("an answer");
        proxy.hold(direction);
        stream.write_all(b"held").expect("sent");
        assert!(is_silent(&mut stream), "{direction:?}");
        proxy.heal();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"held");
    }
}

#[test]
fn a_cut_resets_connections_and_new_ones_work() {
    let proxy = Proxy::start(echo());
    let mut stream = client(&proxy);
    ask(&mut stream, b"first").expect("an answer");
    proxy.cut();
    let why = stream.read(&mut [0; 1]).expect_err("no orderly end");
    assert_eq!(why.kind(), ErrorKind::ConnectionReset);
    assert_eq!(ask(&mut client(&proxy), b"again").expect("an answer"), b"again");
}

#[test]
fn half_open_connections_are_never_answered_and_are_reset_by_healing() {
    let proxy = Proxy::start(echo());
    let mut old = client(&proxy);
    ask(&mut old, b"first").expect("an answer");
    proxy.half_open();
    let mut new = client(&proxy);
    for stream in [&mut old, &mut new] {
        stream.write_all(b"anybody").expect("taken");
        assert!(is_silent(stream));
    }
    assert_eq!(proxy.connections(), 2);
    proxy.heal();
    for stream in [&mut old, &mut new] {
        assert_eq!(stream.read(&mut [0; 1]).expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(ask(&mut client(&proxy), b"again").expect("an answer"), b"again");
}

#[test]
fn a_broker_that_is_down_refuses_through_the_proxy() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("an address").port();
    let proxy = Proxy::start(port);
    assert!(client(&proxy).read(&mut [0; 1]).map_or(true, |count| count == 0));
    assert_eq!(proxy.connections(), 0);
}

#[test]
fn a_bit_is_flipped_after_given_bytes_as_often_as_asked_and_only_in_one_direction() {
    let proxy = Proxy::start(echo());
    let mut stream = client(&proxy);
    proxy.flip_after(Direction::ToClient, b"is ", 2);
    assert_eq!(ask(&mut stream, b"nothing").expect("an answer"), b"nothing");
    assert_eq!(
        ask(&mut stream, b"is a is a").expect("an answer"),
        b"is a is `",
        "the last place of those read at once"
    );
    assert_eq!((proxy.flips_left(), ask(&mut stream, b"is a").expect("an answer")), (1, b"is `".to_vec()));
    assert_eq!((proxy.flips_left(), ask(&mut stream, b"is a").expect("an answer")), (0, b"is a".to_vec()));
}
