use super::*;
use crate::{http::Ended, trace::sample};

const SECOND: u64 = 1_000_000_000;

fn process(pid: u32) -> ProcessId {
    ProcessId { pid, incarnation: u64::from(pid) }
}

/// From one second to another, with this status.
fn attempt(fingerprint: u64, seconds: (u64, u64), status: u16) -> Operation {
    let mut operation = sample::operation();
    operation.fingerprint = Some(fingerprint);
    operation.timing.start = Timestamp(seconds.0 * SECOND);
    operation.timing.end = Timestamp(seconds.1 * SECOND);
    operation.http.status = Some(status);
    operation
}

fn same(count: u32) -> Option<Resent> {
    Some(Resent { count, basis: Basis::SameRequest })
}

#[test]
fn attempts_behind_failures_are_numbered() {
    let mut resends = Resends::default();
    let process = process(1);
    assert_eq!(resends.of(&attempt(7, (0, 1), 429), process), None);
    assert_eq!(resends.of(&attempt(7, (2, 3), 503), process), same(1));
    assert_eq!(resends.of(&attempt(7, (60, 61), 200), process), same(2));
    // It succeeded: what comes now is a call of its own.
    assert_eq!(resends.of(&attempt(7, (62, 63), 200), process), None);
}

#[test]
fn other_requests_and_processes_are_no_attempts() {
    let mut resends = Resends::default();
    assert_eq!(resends.of(&attempt(7, (0, 1), 500), process(1)), None);
    assert_eq!(resends.of(&attempt(8, (2, 3), 200), process(1)), None);
    assert_eq!(resends.of(&attempt(7, (2, 3), 200), process(2)), None);
    let mut unknown = attempt(7, (2, 3), 200);
    unknown.fingerprint = None;
    assert_eq!(resends.of(&unknown, process(1)), None);
    assert_eq!(resends.of(&attempt(7, (4, 5), 200), process(1)), same(1));
}

#[test]
fn only_what_began_behind_the_failure_soon_follows_it() {
    let mut resends = Resends::default();
    let process = process(1);
    assert_eq!(resends.of(&attempt(7, (0, 5), 500), process), None);
    // Both were under way at once.
    assert_eq!(resends.of(&attempt(7, (1, 6), 200), process), None);
    assert_eq!(resends.of(&attempt(7, (126, 127), 200), process), None);
    assert_eq!(resends.of(&attempt(7, (125, 128), 200), process), same(1));
}

#[test]
fn failures_of_the_request_itself_are_not_followed() {
    let mut resends = Resends::default();
    let process = process(1);
    for status in [400, 401, 403, 404, 413, 422] {
        assert_eq!(resends.of(&attempt(7, (0, 1), status), process), None);
        assert_eq!(resends.of(&attempt(7, (2, 3), 200), process), None, "{status}");
    }
    for how in [Ended::Gap, Ended::TracerStopped, Ended::Malformed] {
        let mut cut = attempt(7, (0, 1), 200);
        cut.end.how = how;
        assert_eq!(resends.of(&cut, process), None);
        assert_eq!(resends.of(&attempt(7, (2, 3), 200), process), None, "{how:?}");
    }
}

#[test]
fn failed_connections_and_streams_are_followed() {
    for how in [
        Ended::ClientGone,
        Ended::ServerClosed,
        Ended::ServerReset,
        Ended::ConnectionLost,
        Ended::Refused,
        Ended::StreamReset(7),
    ] {
        let mut resends = Resends::default();
        let mut cut = attempt(7, (0, 1), 200);
        cut.end.how = how;
        assert_eq!(resends.of(&cut, process(1)), None);
        assert_eq!(resends.of(&attempt(7, (2, 3), 200), process(1)), same(1), "{how:?}");
    }
    for (kind, followed) in [
        ("overloaded_error", true),
        ("UNAVAILABLE", true),
        ("throttlingException", true),
        ("503", true),
        ("api_error", true),
        ("invalid_request_error", false),
        ("content_filter", false),
        ("404", false),
    ] {
        let mut resends = Resends::default();
        let mut failed = attempt(7, (0, 1), 200);
        let message = None;
        failed.error = Some(crate::genai::ProviderError { kind: kind.into(), message });
        assert_eq!(resends.of(&failed, process(1)), None);
        let next = resends.of(&attempt(7, (2, 3), 200), process(1));
        assert_eq!(next, followed.then(|| same(1)).flatten(), "{kind}");
    }
}

#[test]
fn clients_word_counts() {
    let mut resends = Resends::default();
    let process = process(1);
    let by_header = |count, seconds| {
        let mut operation = attempt(7, seconds, 500);
        operation.http.resent = Some(count);
        operation
    };
    assert_eq!(resends.of(&by_header(0, (0, 1)), process), None);
    assert_eq!(resends.of(&by_header(0, (2, 3)), process), None);
    let told = Some(Resent { count: 3, basis: Basis::Header });
    assert_eq!(resends.of(&by_header(3, (4, 5)), process), told);
}

/// Several equal calls at once, each tried again.
#[test]
fn equal_calls_are_not_mixed_up() {
    let mut resends = Resends::default();
    let process = process(1);
    assert_eq!(resends.of(&attempt(7, (0, 1), 500), process), None);
    assert_eq!(resends.of(&attempt(7, (0, 2), 500), process), None);
    assert_eq!(resends.of(&attempt(7, (3, 4), 500), process), same(1));
    // Behind a first attempt or behind a second: nothing tells.
    assert_eq!(resends.of(&attempt(7, (5, 6), 500), process), None);
}

#[test]
fn memory_is_bounded() {
    let mut resends = Resends::default();
    for fingerprint in 0..10_000 {
        resends.of(&attempt(fingerprint, (0, 1), 500), process(1));
    }
    assert_eq!(resends.failed.len(), MAX_FAILED);
    assert_eq!(resends.of(&attempt(0, (2, 3), 200), process(1)), None);
    assert_eq!(resends.of(&attempt(9_999, (2, 3), 200), process(1)), same(1));
}
