//! What a record tells of the request: ids, and as much of the input as the configuration allows.

use headgate_compare::record::Input;
use headgate_contract::Recorded;
use headgate_routing::query;

/// Bytes of an id, of a path, and of each value that is told.
const ID_BYTES: usize = 128;
const PATH_BYTES: usize = 1_024;
const VALUE_BYTES: usize = 256;

/// Noted of a request while its headers are there.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Monotonic, in nanoseconds.
    pub(crate) started: u64,
    pub(crate) id: Option<String>,
    pub(crate) input: Option<Input>,
}

impl Notes {
    /// `header` gives a request header's value.
    pub(crate) fn new(of: &Recorded, started: u64, header: &dyn Fn(&str) -> Option<Vec<u8>>) -> Self {
        let id = header("x-request-id").map(|id| text(&id, ID_BYTES));
        let tells = of.path || !of.query.is_empty() || !of.headers.is_empty() || of.body_bytes > 0;
        let input = tells.then(|| {
            let path = header(":path").unwrap_or_default();
            let value = |value: &[u8]| text(value, VALUE_BYTES);
            let query = of.query.iter().filter_map(|name| Some((name.clone(), value(&query::find(&path, name)?))));
            let headers = of.headers.iter().filter_map(|name| Some((name.clone(), value(&header(name)?))));
            Input {
                method: header(":method").map(|method| text(&method, VALUE_BYTES)).unwrap_or_default(),
                path: of.path.then(|| text(query::path_of(&path), PATH_BYTES)),
                query: query.collect(),
                headers: headers.collect(),
                body: None,
            }
        });
        Self { started, id, input }
    }

    /// The body's first bytes.
    pub(crate) fn body(&mut self, bytes: &[u8], most: u32) {
        if let Some(input) = self.input.as_mut().filter(|_| most > 0 && !bytes.is_empty()) {
            input.body = Some(text(bytes, most as usize));
        }
    }
}

/// At most so many bytes, as text.
fn text(bytes: &[u8], most: usize) -> String {
    String::from_utf8_lossy(bytes.get(..most).unwrap_or(bytes)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str) -> Option<Vec<u8>> {
        let value = match name {
            ":path" => "/score?user=al%20ice&secret=s#x",
            ":method" => "GET",
            "x-tier" => "beta",
            "authorization" => "Bearer mine",
            "x-request-id" => "7f",
            _ => return None,
        };
        Some(value.as_bytes().to_vec())
    }

    #[test]
    fn nothing_of_the_input_is_told_unless_it_is_named() {
        let mut notes = Notes::new(&Recorded::default(), 5, &header);
        notes.body(b"secret", 0);
        assert_eq!((notes.started, notes.id.as_deref(), &notes.input), (5, Some("7f"), &None));
        let of = Recorded {
            path: true,
            query: vec!["user".to_owned(), "other".to_owned()],
            headers: vec!["x-tier".to_owned()],
            body_bytes: 3,
            ..Recorded::default()
        };
        let mut notes = Notes::new(&of, 5, &header);
        notes.body(b"secret", 3);
        let input = notes.input.unwrap();
        assert_eq!(
            (input.method.as_str(), input.path.as_deref(), input.body.as_deref()),
            ("GET", Some("/score"), Some("sec"))
        );
        assert_eq!(input.query.into_iter().collect::<Vec<_>>(), [("user".to_owned(), "al ice".to_owned())]);
        assert_eq!(input.headers.into_iter().collect::<Vec<_>>(), [("x-tier".to_owned(), "beta".to_owned())]);
    }
}
