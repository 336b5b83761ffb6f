//! One request whose predictions are read.

use std::rc::Rc;

use headgate_compare::{Places, Reader, Unreadable, Value};
use headgate_routing::{Decision, Predicting, Source, Unread};
use proxy_wasm::types::{BufferType, MapType};

use super::board::Place;
use super::held::Held;
use crate::host;
use crate::live::Live;

/// A request, and what is still to be read of it and of its answer.
pub(crate) struct Reading {
    live: Rc<Live>,
    place: Place,
    request: Side,
    response: Side,
}

/// How far one direction is.
enum Side {
    /// Everything of it is counted.
    Done,
    /// Its headers have not come.
    Awaited,
    /// Its body passes.
    Passing(Box<Body>),
}

/// A body that passes, until nothing more of it can be read.
struct Body {
    reader: Result<Reader, Unread>,
    held: Held,
}

/// Which direction a source belongs to.
#[derive(Clone, Copy)]
enum Way {
    Request,
    Response,
}

impl Reading {
    /// A chosen request, its headers as the upstream gets them. It `ends` with them, or has a body.
    pub(crate) fn begin(live: &Rc<Live>, decision: &Decision, ends: bool) -> Option<Self> {
        let place = Place::of(decision).filter(|_| decision.predicted)?;
        let mut it = Self { live: Rc::clone(live), place, request: Side::Done, response: Side::Done };
        if it.has(|source| matches!(source, Source::ResponseBody(_) | Source::ResponseHeader(_))) {
            it.response = Side::Awaited;
        }
        it.request = it.headers(Way::Request, ends);
        Some(it)
    }

    /// The answer's headers are there; it `ends` with them, or has a body.
    pub(crate) fn answered(&mut self, status: u16, ends: bool) {
        if !matches!(self.response, Side::Awaited) {
            return;
        }
        self.response = match status {
            200..=299 => self.headers(Way::Response, ends),
            _ => {
                self.fail(Way::Response, Unread::Status);
                Side::Done
            }
        };
    }

    /// A piece of the request's body passes; it is the last if it `ends`.
    pub(crate) fn request_body(&mut self, size: usize, ends: bool) {
        self.piece(Way::Request, size, ends);
    }

    /// A piece of the answer's body passes; it is the last if it `ends`.
    pub(crate) fn response_body(&mut self, size: usize, ends: bool) {
        self.piece(Way::Response, size, ends);
    }

    /// The request's trailers pass: it has ended.
    pub(crate) fn request_trailers(&mut self) {
        self.finish(Way::Request);
    }

    /// The answer's trailers pass: it has ended.
    pub(crate) fn response_trailers(&mut self) {
        self.finish(Way::Response);
    }

    /// The stream is over: what has not come will not.
    pub(crate) fn is_over(&self) {
        if matches!(self.request, Side::Passing(_)) {
            self.fail_bodies(Way::Request, Unread::Incomplete);
        }
        match self.response {
            Side::Done => {}
            Side::Awaited => self.fail(Way::Response, Unread::Incomplete),
            Side::Passing(_) => self.fail_bodies(Way::Response, Unread::Incomplete),
        }
    }

    fn predicting(&self) -> Option<&Predicting> {
        self.live.table.predictions(self.place.route)
    }

    fn has(&self, wanted: impl Fn(&Source) -> bool) -> bool {
        self.predicting().is_some_and(|of| of.fields.iter().any(|field| wanted(&field.source)))
    }

    /// Reads what stands in headers; what comes of the direction then.
    fn headers(&self, way: Way, ends: bool) -> Side {
        let Some(predicting) = self.predicting() else { return Side::Done };
        let map = way.map();
        for (i, field) in predicting.fields.iter().enumerate() {
            let name = match (&field.source, way) {
                (Source::RequestHeader(name), Way::Request) | (Source::ResponseHeader(name), Way::Response) => name,
                _ => continue,
            };
            let text = host::header(map, name).map(|bytes| String::from_utf8_lossy(bytes.trim_ascii()).into_owned());
            self.count(i, field.bin(text.map(Value::Text).as_ref()));
        }
        if way.places(predicting).is_empty() {
            return Side::Done;
        }
        if ends {
            self.fail_bodies(way, Unread::Missing);
            return Side::Done;
        }
        let coding = host::header(map, "content-encoding");
        let reader = Reader::new(coding.as_deref(), predicting.max_body_bytes);
        Side::Passing(Box::new(Body { reader: Ok(reader), held: Held::default() }))
    }

    fn piece(&mut self, way: Way, size: usize, ends: bool) {
        let most = self.live.table.config().shadowing.budget.bytes as usize;
        let Side::Passing(body) = self.side(way) else { return };
        if size > 0
            && let Ok(reader) = &mut body.reader
            && reader.wants_body()
        {
            let piece = host::body(way.buffer(), 0, size).unwrap_or_default();
            reader.chunk(&piece);
            if !body.held.set(reader.held(), most) {
                **body = Body { reader: Err(Unread::Budget), held: Held::default() };
            }
        }
        if ends {
            self.finish(way);
        }
    }

    /// A body has ended as it should.
    fn finish(&mut self, way: Way) {
        if !matches!(self.side(way), Side::Passing(_)) {
            return;
        }
        let Side::Passing(body) = core::mem::replace(self.side(way), Side::Done) else { return };
        let Body { reader, held } = *body;
        let Some(predicting) = self.predicting() else { return };
        let values = reader.and_then(|reader| {
            reader.finish(way.places(predicting)).map_err(|why| match why {
                Unreadable::Empty => Unread::Missing,
                Unreadable::TooLarge => Unread::TooLarge,
                Unreadable::Coded => Unread::Coded,
                Unreadable::NotJson => Unread::NotJson,
            })
        });
        drop(held);
        for (i, field) in predicting.fields.iter().enumerate() {
            let Some(number) = way.place(&field.source) else { continue };
            let bin = match &values {
                Ok(values) => field.bin(values.get(number).and_then(Option::as_ref)),
                Err(why) => Err(*why),
            };
            self.count(i, bin);
        }
    }

    /// Nothing of a direction can be read.
    fn fail(&self, way: Way, why: Unread) {
        let Some(predicting) = self.predicting() else { return };
        for (i, _) in predicting.fields.iter().enumerate().filter(|(_, field)| way.has(&field.source)) {
            self.count(i, Err(why));
        }
    }

    /// Nothing of its body.
    fn fail_bodies(&self, way: Way, why: Unread) {
        let Some(predicting) = self.predicting() else { return };
        for (i, _) in predicting.fields.iter().enumerate().filter(|(_, field)| way.place(&field.source).is_some()) {
            self.count(i, Err(why));
        }
    }

    fn count(&self, field: usize, bin: Result<usize, Unread>) {
        self.live.predictions.count(&self.live.table, self.place, field, bin);
    }

    const fn side(&mut self, way: Way) -> &mut Side {
        match way {
            Way::Request => &mut self.request,
            Way::Response => &mut self.response,
        }
    }
}

impl Way {
    const fn map(self) -> MapType {
        match self {
            Self::Request => MapType::HttpRequestHeaders,
            Self::Response => MapType::HttpResponseHeaders,
        }
    }

    const fn buffer(self) -> BufferType {
        match self {
            Self::Request => BufferType::HttpRequestBody,
            Self::Response => BufferType::HttpResponseBody,
        }
    }

    const fn places(self, of: &Predicting) -> &Places {
        match self {
            Self::Request => &of.request,
            Self::Response => &of.response,
        }
    }

    /// The place in this direction's body.
    const fn place(self, source: &Source) -> Option<usize> {
        match (source, self) {
            (Source::RequestBody(place), Self::Request) | (Source::ResponseBody(place), Self::Response) => Some(*place),
            _ => None,
        }
    }

    /// Whether it is read in this direction at all.
    const fn has(self, source: &Source) -> bool {
        match source {
            Source::RequestBody(_) | Source::RequestHeader(_) => matches!(self, Self::Request),
            Source::ResponseBody(_) | Source::ResponseHeader(_) => matches!(self, Self::Response),
        }
    }
}
