//! SageMaker endpoints that stream: the container's own stream inside AWS's event stream.
//! Takes the events `PayloadPart`, whose payloads are the pieces of a body of server-sent events.
//! Endpoints that answer in one piece need no format of their own: the body is the container's.

use super::{Answer, Answered, Format, Step, openai_chat, tgi};
use crate::genai::{
    json::{Document, Fault, Shape, Shapes},
    sse::{self, Sse},
};

pub(in crate::genai) static GENERATE: Format = Format {
    event: &Shape::Skip,
    answer: |capture_content| Box::new(Parts::new(&tgi::GENERATE, capture_content)),
    ..tgi::GENERATE
};

pub(in crate::genai) static CHAT: Format = Format {
    event: &Shape::Skip,
    answer: |capture_content| Box::new(Parts::new(&openai_chat::SERVED, capture_content)),
    ..openai_chat::SERVED
};

#[derive(Debug)]
struct Parts {
    sse: Sse,
    data: Document,
    inner: Box<dyn Answer>,
}

impl Parts {
    fn new(format: &'static Format, capture_content: bool) -> Self {
        Self {
            sse: Sse::default(),
            data: Document::new(Shapes { facts: format.event, content: None }),
            inner: (format.answer)(capture_content),
        }
    }
}

impl Answer for Parts {
    fn whole(&mut self, body: &mut Document) -> Option<Fault> {
        self.inner.whole(body)
    }

    fn event(&mut self, name: &[u8], data: &mut Document) -> Step {
        let (b"PayloadPart", Some(bytes)) = (name, data.bytes()) else { return Step::Aside };
        let Self { sse, data, inner } = self;
        let mut step = Step::Aside;
        sse.push(bytes, |item| match item {
            sse::Item::Data(piece) => data.push(piece),
            sse::Item::Event(name) => {
                match inner.event(name, data) {
                    Step::Piece => step = Step::Piece,
                    Step::Frame if step == Step::Aside => step = Step::Frame,
                    Step::Frame | Step::Aside => {}
                }
                data.clear();
            }
        });
        step
    }

    fn done(&self) -> bool {
        self.inner.done()
    }

    fn finish(self: Box<Self>) -> Answered {
        self.inner.finish()
    }
}
