//! Predictions: which requests they are read from, and into which bin a value falls.
//!
//! It decides and sorts; reading what passes, and counting, is the shell's.

use headgate_compare::{Places, Value};
use headgate_contract::limits::{PREDICTION_BINS, PREDICTIONS};
use headgate_contract::{Prediction, Predictions, Problems, Route};

use crate::checks::Checks;
use crate::mirror::SHARE;
use crate::split::reduce;
use crate::{Env, RoutingTable};

/// Largest `maxBodyBytes`.
const BODY_BYTES: u32 = 1 << 20;
/// Characters of an edge, as a label tells it.
const EDGE_BYTES: usize = 24;
/// Label of values above the last edge.
const ABOVE: &str = "inf";
/// Label of classes that are not named.
const OTHER: &str = "other";

/// The predictions of a route, ready.
#[derive(Debug)]
pub struct Predicting {
    share: u64,
    /// Largest body that is read.
    pub max_body_bytes: usize,
    /// In the configuration's order.
    pub fields: Vec<Field>,
    /// Places in a request's body.
    pub request: Places,
    /// Places in an answer's body.
    pub response: Places,
}

/// One of them.
#[derive(Debug)]
pub struct Field {
    /// The label `prediction`.
    pub name: String,
    /// Where it is read from.
    pub source: Source,
    bins: Bins,
}

/// Where a prediction is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A place in the request's body, by its number.
    RequestBody(usize),
    /// A header of the request.
    RequestHeader(String),
    /// A place in the answer's body, by its number.
    ResponseBody(usize),
    /// A header of the answer.
    ResponseHeader(String),
}

/// Where values are counted.
#[derive(Debug)]
enum Bins {
    Edges(Vec<(f64, String)>),
    Classes(Vec<String>),
}

/// Why nothing was counted. The label `reason` of `headgate_prediction_unread`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// There is no such field or header, it is `null`, or there is no body.
    Missing,
    /// It is no number.
    NotNumber,
    /// It is an array or an object, where a class was to be read.
    NotClass,
    /// The body is not JSON.
    NotJson,
    /// The body is longer than `maxBodyBytes`, or has more than 10,000 values.
    TooLarge,
    /// The body is in a coding that is not known, or it could not be decompressed.
    Coded,
    /// The answer's status is not 2xx.
    Status,
    /// The stream ended before what was to be read.
    Incomplete,
    /// All bodies together would have held more than they may.
    Budget,
}

impl Unread {
    /// Every one, in the order of their numbers.
    pub const ALL: [&'static str; 9] =
        ["missing", "not_number", "not_class", "not_json", "too_large", "coded", "status", "incomplete", "budget"];
}

impl Field {
    /// How many bins there are.
    pub fn bins(&self) -> usize {
        1 + match &self.bins {
            Bins::Edges(edges) => edges.len(),
            Bins::Classes(classes) => classes.len(),
        }
    }

    /// The metric, and the label and its value, of a bin by its number.
    pub fn label(&self, bin: usize) -> (&'static str, &'static str, &str) {
        match &self.bins {
            Bins::Edges(edges) => {
                let edge = edges.get(bin).map_or(ABOVE, |(_, text)| text);
                ("headgate_prediction_values", "up_to", edge)
            }
            Bins::Classes(classes) => {
                ("headgate_prediction_classes", "class", classes.get(bin).map_or(OTHER, String::as_str))
            }
        }
    }

    /// The bin of a value.
    ///
    /// # Errors
    /// When it is none.
    pub fn bin(&self, value: Option<&Value>) -> Result<usize, Unread> {
        let value = value.ok_or(Unread::Missing)?;
        match &self.bins {
            Bins::Edges(edges) => {
                let value = value.number().ok_or(Unread::NotNumber)?;
                Ok(edges.partition_point(|(edge, _)| *edge < value))
            }
            Bins::Classes(classes) => {
                let text = value.text().ok_or(Unread::NotClass)?;
                Ok(classes.iter().position(|class| *class == text).unwrap_or(classes.len()))
            }
        }
    }
}

impl Predicting {
    pub(crate) fn compile(of: &Predictions, route: &Route, path: &str, checks: &mut Checks) -> Self {
        checks.share_of_requests(&format!("{path}.share"), of.share);
        if of.max_body_bytes == 0 || of.max_body_bytes > BODY_BYTES {
            checks.push(
                format!("{path}.maxBodyBytes"),
                format!("{} bytes: 1 to {BODY_BYTES} are taken", of.max_body_bytes),
            );
        }
        if route.key.is_none() {
            checks.push(path, "are counted by bucket of users, but the route has no `key`: say where keys come from");
        }
        let at = format!("{path}.fields");
        checks.at_most(&at, "predictions", of.fields.len(), PREDICTIONS);
        if of.fields.is_empty() {
            checks.push(&at, "names nothing to read: leave `predictions` out instead");
        }
        checks.unique(of.fields.iter().map(|field| field.name.as_str()), |i| format!("{at}[{i}].name"));
        let mut it = Self {
            share: u64::from(of.share),
            max_body_bytes: of.max_body_bytes as usize,
            fields: Vec::new(),
            request: Places::default(),
            response: Places::default(),
        };
        for (i, field) in of.fields.iter().enumerate().take(PREDICTIONS) {
            let at = format!("{at}[{i}]");
            checks.name(&format!("{at}.name"), &field.name);
            let source = it.source(field, &at, checks);
            it.fields.push(Field { name: field.name.clone(), source, bins: bins(field, &at, checks) });
        }
        it
    }

    fn source(&mut self, of: &Prediction, at: &str, checks: &mut Checks) -> Source {
        checks.exactly_one(
            at,
            &[
                ("responseBody", of.response_body.is_some()),
                ("responseHeader", of.response_header.is_some()),
                ("requestBody", of.request_body.is_some()),
                ("requestHeader", of.request_header.is_some()),
            ],
        );
        let mut problems = Problems::default();
        let source = if let Some(pointer) = &of.response_body {
            Source::ResponseBody(self.response.add(pointer, &format!("{at}.responseBody"), &mut problems))
        } else if let Some(pointer) = &of.request_body {
            Source::RequestBody(self.request.add(pointer, &format!("{at}.requestBody"), &mut problems))
        } else if let Some(name) = &of.request_header {
            checks.read_header(&format!("{at}.requestHeader"), name);
            Source::RequestHeader(name.clone())
        } else {
            let name = of.response_header.clone().unwrap_or_default();
            if let Some(Err(reason)) =
                of.response_header.as_ref().map(|name| headgate_contract::check_header_name(name))
            {
                checks.push(format!("{at}.responseHeader"), reason);
            }
            Source::ResponseHeader(name)
        };
        for problem in problems.0 {
            checks.problems.0.push(problem);
        }
        source
    }

    /// Whether this request is read. Without randomness where it is needed, it is not.
    pub(crate) fn chooses(&self, env: &Env<'_>) -> bool {
        match self.share {
            0 => false,
            share if share >= SHARE => true,
            // The middle: the lower half may have picked a variant, the upper one a copy.
            share => (env.random)().is_some_and(|random| reduce((random >> 32) as u64, SHARE) < share),
        }
    }
}

fn bins(of: &Prediction, at: &str, checks: &mut Checks) -> Bins {
    checks.exactly_one(at, &[("edges", !of.edges.is_empty()), ("classes", !of.classes.is_empty())]);
    checks.at_most(&format!("{at}.edges"), "edges", of.edges.len(), PREDICTION_BINS);
    checks.at_most(&format!("{at}.classes"), "classes", of.classes.len(), PREDICTION_BINS);
    if !of.classes.is_empty() {
        let at = format!("{at}.classes");
        checks.unique(of.classes.iter().map(String::as_str), |i| format!("{at}[{i}]"));
        for (i, class) in of.classes.iter().enumerate() {
            checks.name(&format!("{at}[{i}]"), class);
            if class == OTHER {
                checks.push(format!("{at}[{i}]"), "`other` is every class that is not named: leave it out");
            }
        }
        return Bins::Classes(of.classes.clone());
    }
    let mut edges: Vec<(f64, String)> = Vec::with_capacity(of.edges.len());
    for (i, edge) in of.edges.iter().enumerate() {
        // -0 is 0.
        let edge = edge + 0.0;
        let text = edge.to_string();
        if !edge.is_finite() || text.len() > EDGE_BYTES {
            checks
                .push(format!("{at}.edges[{i}]"), format!("has more than {EDGE_BYTES} characters: write fewer digits"));
        } else if edges.last().is_some_and(|(before, _)| *before >= edge) {
            checks.push(format!("{at}.edges[{i}]"), format!("{text} is not above the edge before it: edges rise"));
        }
        edges.push((edge, text));
    }
    Bins::Edges(edges)
}

impl RoutingTable {
    /// The predictions of a route.
    pub fn predictions(&self, route: usize) -> Option<&Predicting> {
        self.ready.get(route)?.predicting.as_ref()
    }
}
