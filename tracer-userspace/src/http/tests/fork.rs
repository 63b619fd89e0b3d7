//! Connections that two processes hold after a fork.

use super::{Told::*, *};

const GET: &str = "GET / HTTP/1.1\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn forked(child: u64, parent: u64) -> Step {
    Open(child, Origin::Inherited(ConnectionId(parent)))
}

fn by_child(bytes: &str) -> Step {
    Step::Received(2, bytes.as_bytes().to_vec())
}

fn run_all(steps: &[Step]) -> Vec<Line> {
    let mut exchanges = Exchanges::new();
    let lines = run_with(&mut exchanges, steps, &|_, _| Vec::new());
    assert_eq!(exchanges.connections(), 0);
    lines.into_iter().map(|(line, _)| line).collect()
}

fn answered_by_child() -> Vec<Line> {
    vec![
        (1, 0, request("GET /", 0)),
        (1, 0, RequestEnd),
        (1, 0, Moved(2, 0)),
        (2, 0, response(200, 1)),
        (2, 0, response_body("ok")),
        (2, 0, ResponseEnd),
        (2, 0, complete()),
    ]
}

#[test]
fn child_that_reads_takes_exchange_over() {
    let ends = [Step::Closed(2, CloseCause::ProcessExited), closed(CloseCause::Freed)];
    let steps = [&[created(), sent(GET), forked(2, 1), by_child(OK)], &ends[..]].concat();
    assert_eq!(run_all(&steps), answered_by_child());
}

#[test]
fn parent_may_exit_before_child_reads() {
    let exit = closed(CloseCause::ProcessExited);
    let steps = [created(), sent(GET), forked(2, 1), exit, by_child(OK)];
    let steps = [&steps[..], &[Step::Closed(2, CloseCause::Freed)]].concat();
    assert_eq!(run_all(&steps), answered_by_child());
}

#[test]
fn unused_copies_change_nothing() {
    let steps = [
        created(),
        sent(GET),
        forked(2, 1),
        forked(3, 2),
        Step::Closed(2, CloseCause::ProcessExited),
        received(OK),
        closed(CloseCause::Freed),
        Step::Closed(3, CloseCause::ProcessExited),
    ];
    let lines = run_all(&steps);
    assert!(lines.iter().all(|(connection, _, _)| *connection == 1));
    assert_eq!(lines.last(), Some(&(1, 0, complete())));
}

#[test]
fn call_of_killed_parent_ends_at_its_exit() {
    let steps = [
        created(),
        sent(GET),
        forked(2, 1),
        closed(CloseCause::ProcessExited),
        Step::Closed(2, CloseCause::ProcessExited),
    ];
    let lines = run_with(&mut Exchanges::new(), &steps, &|_, _| Vec::new());
    assert_eq!(lines.last(), Some(&((1, 0, end(Ended::ClientGone)), Timestamp(4))));
}

#[test]
fn grandchild_takes_over_from_owner() {
    let steps = [
        created(),
        sent(GET),
        forked(3, 1),
        forked(2, 3),
        by_child(OK),
        Step::Closed(3, CloseCause::Freed),
        closed(CloseCause::Freed),
        Step::Closed(2, CloseCause::Freed),
    ];
    assert_eq!(run_all(&steps), answered_by_child());
}

#[test]
fn parent_finds_its_way_back() {
    let steps = [
        created(),
        forked(2, 1),
        by_child(OK),
        sent(GET),
        received(OK),
        Step::Closed(2, CloseCause::Freed),
        closed(CloseCause::Freed),
    ];
    let lines = run_all(&steps);
    assert_eq!(lines.last(), Some(&(1, 0, complete())));
}

#[test]
fn copy_of_unknown_connection_joins_late() {
    let steps = [forked(2, 1), by_child(OK), Step::Closed(2, CloseCause::Freed)];
    let lines = run_all(&steps);
    let end = End(super::End {
        how: Ended::Complete,
        missing_request: 0,
        missing_response: 0,
        joined_late: true,
    });
    assert_eq!(lines.last(), Some(&(2, 0, end)));
}
