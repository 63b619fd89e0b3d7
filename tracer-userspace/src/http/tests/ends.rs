//! How exchanges end with their connection, and that nothing stays behind.

use super::{Told::*, *};

const GET: &str = "GET / HTTP/1.1\r\n\r\n";
const PART: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart";
const ENDLESS: &str = "HTTP/1.1 200 OK\r\n\r\nall of it";

/// The last event and its time, after the steps from the client's and from the server's side.
fn ends(answer: &str, last: &[Step]) -> [(Told, u64); 2] {
    let client = [&[created(), sent(GET), received(answer)], last].concat();
    let server = [&[created(), received(GET), sent(answer)], last].concat();
    [client, server].map(|steps| {
        let mut exchanges = Exchanges::new();
        let lines = run_with(&mut exchanges, &steps, &|_, _| Vec::new());
        if matches!(steps.last(), Some(Step::Closed(..))) {
            assert_eq!(exchanges.connections(), 0);
        }
        let ends = lines.iter().filter(|((_, _, told), _)| matches!(told, End(_))).count();
        assert_eq!(ends, 1, "{lines:?}");
        lines.last().map(|((_, _, told), time)| (told.clone(), time.0)).expect("something is told")
    })
}

#[test]
fn peers_end_is_told_apart() {
    for (how, client, server) in [
        (PeerEnd::CloseNotify, Ended::ServerClosed, Ended::ClientGone),
        (PeerEnd::Broken, Ended::ConnectionLost, Ended::ConnectionLost),
        (PeerEnd::SystemCall, Ended::ServerReset, Ended::ClientGone),
    ] {
        for answer in ["", "HTTP/1.1 2", PART] {
            let last = [PeerEnded(1, how), closed(CloseCause::Freed)];
            assert_eq!(ends(answer, &last), [(end(client), 4), (end(server), 4)], "{how:?}");
        }
    }
}

#[test]
fn own_close_is_told_apart() {
    for (cause, client, server) in [
        (CloseCause::Freed, Ended::ClientGone, Ended::ServerClosed),
        (CloseCause::ProcessExited, Ended::ClientGone, Ended::ServerClosed),
        (CloseCause::ProcessExecuted, Ended::ClientGone, Ended::ServerClosed),
        (CloseCause::TracerStopped, Ended::TracerStopped, Ended::TracerStopped),
        (CloseCause::Unseen, Ended::Gap, Ended::Gap),
    ] {
        for answer in ["", "HTTP/1.1 2", PART] {
            let last = [closed(cause)];
            assert_eq!(ends(answer, &last), [(end(client), 4), (end(server), 4)], "{cause:?}");
        }
    }
}

#[test]
fn close_completes_body_delimited_by_it() {
    let clean = [PeerEnded(1, PeerEnd::CloseNotify), closed(CloseCause::Freed)];
    assert_eq!(ends(ENDLESS, &clean), [(complete(), 4), (end(Ended::ClientGone), 4)]);
    let file_end = [PeerEnded(1, PeerEnd::Broken), closed(CloseCause::Freed)];
    assert_eq!(ends(ENDLESS, &file_end)[0], (complete(), 4));
    let reset = [PeerEnded(1, PeerEnd::SystemCall), closed(CloseCause::Freed)];
    assert_eq!(ends(ENDLESS, &reset)[0], (end(Ended::ServerReset), 4));
    let freed = [closed(CloseCause::Freed)];
    assert_eq!(ends(ENDLESS, &freed), [(end(Ended::ClientGone), 4), (complete(), 4)]);
    let killed = [closed(CloseCause::ProcessExited)];
    assert_eq!(ends(ENDLESS, &killed)[1], (end(Ended::ServerClosed), 4));
}

#[test]
fn half_closed_client_still_gets_answer() {
    let notify = PeerEnded(1, PeerEnd::CloseNotify);
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let lines = run(&[created(), received(GET), notify, sent(answer), closed(CloseCause::Freed)]);
    assert_eq!(lines.last(), Some(&(1, 0, complete())));
}

#[test]
fn exchange_that_outlives_peer_ends_at_close() {
    let notify = PeerEnded(1, PeerEnd::CloseNotify);
    let steps = [created(), received(GET), notify, sent(PART), closed(CloseCause::Freed)];
    let lines = run_with(&mut Exchanges::new(), &steps, &|_, _| Vec::new());
    assert_eq!(lines.last(), Some(&((1, 0, end(Ended::ClientGone)), Timestamp(5))));
}

#[test]
fn unfinished_head_is_no_exchange() {
    let mut exchanges = Exchanges::new();
    let steps = [created(), sent("POST / HTTP/1.1\r\nHost"), closed(CloseCause::Freed)];
    assert_eq!(run_with(&mut exchanges, &steps, &|_, _| Vec::new()), []);
    assert_eq!((exchanges.connections(), exchanges.counts().headless_exchanges), (0, 1));
}

#[test]
fn stop_ends_all_that_is_open() {
    let mut exchanges = Exchanges::new();
    run_with(&mut exchanges, &[created(), sent(GET), received(PART)], &|_, _| Vec::new());
    let mut told = Vec::new();
    exchanges.stop(Timestamp(9), &mut |event| told.push((owned(event.kind), event.time)));
    assert_eq!(told, [(end(Ended::TracerStopped), Timestamp(9))]);
    assert_eq!(exchanges.connections(), 0);
}

#[test]
fn completed_exchange_survives_later_ends() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for cause in [CloseCause::Freed, CloseCause::ProcessExited] {
        let last = [PeerEnded(1, PeerEnd::SystemCall), closed(cause)];
        assert_eq!(ends(answer, &last), [(complete(), 3), (complete(), 3)]);
    }
}

#[test]
fn later_request_after_peers_end_is_told() {
    let notify = PeerEnded(1, PeerEnd::CloseNotify);
    let lines = run(&[created(), sent(GET), notify, sent(GET), closed(CloseCause::Freed)]);
    let ends: Vec<_> = lines.iter().filter(|(_, _, told)| matches!(told, End(_))).collect();
    let expected = [(1, 0, end(Ended::ServerClosed)), (1, 1, end(Ended::ServerClosed))];
    assert_eq!(ends, expected.iter().collect::<Vec<_>>());
}
