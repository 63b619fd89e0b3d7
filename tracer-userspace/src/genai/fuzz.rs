//! Stream framings and the JSON reader for the fuzz targets, each by itself.
//! Takes bodies in pieces, `None` for a gap; gives what the parsers tell, as plain values.

use serde_json::Value;

use super::{
    eventstream::{self, EventStream},
    json::{self, Shape},
    providers::ROUTES,
    sse::{self, Sse},
    values::{self, Values},
};

/// What a framing tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told<'a> {
    Data(&'a [u8]),
    /// The event or value is over; its name, if it has one.
    End(&'a [u8]),
    Exception(&'a [u8]),
    Corrupt,
}

type Sink<'a> = &'a mut dyn FnMut(Told<'_>);

/// A body in pieces; `None` is a gap.
type Pieces<'p, 'a> = &'p mut dyn Iterator<Item = Option<&'a [u8]>>;

pub fn sse(pieces: Pieces<'_, '_>, sink: Sink<'_>) {
    let mut tell = |item: sse::Item<'_>| match item {
        sse::Item::Data(data) => sink(Told::Data(data)),
        sse::Item::Event(name) => sink(Told::End(name)),
    };
    let mut sse = Sse::default();
    for piece in pieces {
        match piece {
            Some(bytes) => sse.push(bytes, &mut tell),
            None => sse.gap(),
        }
    }
    sse.finish(&mut tell);
}

/// Also gives whether the body ends with a whole message.
pub fn event_stream(pieces: Pieces<'_, '_>, sink: Sink<'_>) -> bool {
    let mut stream = EventStream::default();
    for piece in pieces {
        let Some(bytes) = piece else {
            stream.gap();
            continue;
        };
        stream.push(bytes, |item| match item {
            eventstream::Item::Data(data) => sink(Told::Data(data)),
            eventstream::Item::Event(name) => sink(Told::End(name.as_bytes())),
            eventstream::Item::Exception(name, _) => sink(Told::Exception(name.as_bytes())),
            eventstream::Item::Corrupt => sink(Told::Corrupt),
        });
    }
    stream.is_whole()
}

/// Also gives whether the values are the elements of a list.
pub fn values(pieces: Pieces<'_, '_>, sink: Sink<'_>) -> bool {
    let mut values = Values::default();
    for piece in pieces {
        let Some(bytes) = piece else {
            values.gap();
            continue;
        };
        values.push(bytes, |item| match item {
            values::Item::Data(data) => sink(Told::Data(data)),
            values::Item::End => sink(Told::End(b"")),
        });
    }
    values.is_list()
}

/// What the JSON reader kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    pub value: Value,
    pub fault: Option<&'static str>,
    /// A bound left something out.
    pub clipped: bool,
}

/// Number of shapes that [`json`] knows.
pub fn shapes() -> usize {
    all_shapes().count()
}

/// Reads one JSON value by a shape: the first keeps everything, the others are the formats' own.
pub fn json<'a>(shape: usize, pieces: impl Iterator<Item = &'a [u8]>) -> Read {
    let shape = all_shapes().nth(shape).unwrap_or(&Shape::Text);
    let (value, fault, clipped) = json::read(shape, pieces);
    Read { value, fault: fault.map(json::Fault::as_str), clipped }
}

fn all_shapes() -> impl Iterator<Item = &'static Shape> {
    let of_format = ROUTES.iter().map(|route| route.format).flat_map(|format| {
        let (request, response) = (format.request, format.response);
        [request.facts, request.content, response.facts, response.content, format.event]
    });
    [&Shape::Text, &Shape::Fact].into_iter().chain(of_format)
}
