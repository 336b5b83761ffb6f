//! From a request to an outcome, in the order: kill switch, override, inbound decision, include and exclude lists, the segment's
//! weights, the hash of the key, else the configured answer when there is no key.
//!
//! What few requests need is never inlined: in a proxy the code that every request runs through is to lie close together.

mod credits;

use std::borrow::Cow;
use std::cell::OnceCell;

use headgate_contract::{Absent, Decisions, Route};

use crate::reads::Reads;
use crate::split::{Split, list_hash};
use crate::table::{Ready, RoutingTable};
use crate::token::{self, Claims};
use crate::{Assigned, Copy, Decision, Env, Event, HeaderOp, IssuedCookie, Outcome, Reason, TokenFault, View, hops};

impl RoutingTable {
    /// What this request gets. Never panics, never fails: whatever is wrong with the request is the stable variant.
    pub fn decide<'t>(&'t self, view: &dyn View, env: &Env<'_>) -> Outcome<'t> {
        let reads = Reads::new(view);
        let mut out = Outcome::default();
        self.trust.strip(&reads, &mut out);
        let found = self.find(&reads, env).and_then(|i| Some((i, self.config.routes.get(i)?, self.ready.get(i)?)));
        if let Some((index, route, ready)) = found {
            let killed = self.config.kill_switch || ready.kill;
            let request =
                Request { table: self, index, route, ready, killed, reads: &reads, env, key: OnceCell::new() };
            request.decide(&mut out);
        } else {
            step(env, || ("routes".to_owned(), "no route matches: the request goes its way".to_owned()));
            self.pass_on(&reads, env, &mut out);
        }
        if !self.goals.is_empty() {
            self.credit(&reads, env, &mut out);
        }
        out.clear_route_cache = !out.state.is_empty();
        out
    }

    /// The first route that matches.
    fn find<'t>(&'t self, reads: &Reads<'t, '_>, env: &Env<'_>) -> Option<usize> {
        if env.listener().is_some() {
            return self.ready.iter().enumerate().position(|(i, ready)| {
                let miss = ready.matcher.miss(reads, false);
                step(env, || match miss {
                    Some(miss) => (format!("routes[{i}].match{}", miss.path()), "does not hold".to_owned()),
                    None => (format!("routes[{i}].match"), "holds: this route decides".to_owned()),
                });
                miss.is_none()
            });
        }
        let holds = |ready: &'t Ready| ready.hosts_only || ready.matcher.miss(reads, true).is_none();
        if !self.hosts.has_hosts() {
            return self.ready.iter().position(holds);
        }
        self.hosts.first(reads.host().as_deref(), |i| self.ready.get(i).is_some_and(holds))
    }

    /// Decisions of earlier hops when no route has a part in them.
    #[inline(never)]
    fn pass_on<'t>(&'t self, reads: &Reads<'t, '_>, env: &Env<'_>, out: &mut Outcome<'t>) {
        let Some(decisions) = &self.config.decisions else { return };
        let Some(header) = reads.header(&decisions.header) else { return };
        if self.config.kill_switch {
            out.headers.push(HeaderOp::Remove(&decisions.header));
            return;
        }
        let (pairs, faults) = hops::verify(&header, &decisions.audience, (env.now)(), &env.keyring.decisions);
        if !faults.is_empty() || pairs.is_empty() {
            write_pairs(decisions, pairs.iter().map(|pair| pair.text), None, out);
        }
        out.events.extend(faults.into_iter().map(Event::BadToken));
    }
}

/// One request of one route.
struct Request<'t, 'v, 'r> {
    table: &'t RoutingTable,
    index: usize,
    route: &'t Route,
    ready: &'t Ready,
    killed: bool,
    reads: &'r Reads<'t, 'v>,
    env: &'r Env<'r>,
    key: OnceCell<Option<Cow<'r, [u8]>>>,
}

/// A variant and how it came about.
struct Choice {
    variant: usize,
    reason: Reason,
    segment: usize,
    /// The key that was issued with it.
    issued: Option<String>,
}

impl Choice {
    fn new(variant: usize, reason: Reason) -> Self {
        Self { variant, reason, segment: 0, issued: None }
    }
}

impl<'t, 'r> Request<'t, '_, 'r> {
    fn decide(&self, out: &mut Outcome<'t>) {
        let choice = match &self.table.config.decisions {
            Some(decisions) => self.among_hops(decisions, out),
            None => self.choose(None, out),
        };
        let assigned =
            if matches!(choice.reason, Reason::Hash | Reason::Issued) { Assigned::Hash } else { Assigned::Forced };
        let key = || choice.issued.as_deref().map(str::as_bytes).or_else(|| self.key());
        let replicate = if assigned == Assigned::Hash { key().and_then(|key| self.replicate(key)) } else { None };
        let copy = self.mirror(key, out);
        #[cfg(feature = "shadow")]
        let shadow = self.shadow(&choice, key);
        #[cfg(feature = "shadow")]
        let predicted = replicate.is_some() && self.is_predicted();
        if self.ready.untold == Some(choice.variant) {
            self.step(".output.defaultRoute", || "Envoy's own route leads there: nothing is told".to_owned());
        } else {
            self.tell(choice.variant, out);
        }
        let cookie: Option<IssuedCookie> =
            choice.issued.as_deref().zip(self.ready.key.as_ref()).map(|(value, keys)| keys.issue(value));
        let (route, variant, reason, segment) = (self.index, choice.variant, choice.reason, choice.segment);
        self.step("", || format!("{}, because: {}", self.variant_name(variant), reason.as_str()));
        out.decision = Some(Decision {
            route,
            variant,
            reason,
            assigned,
            segment,
            replicate,
            copy,
            cookie,
            #[cfg(feature = "shadow")]
            shadow,
            #[cfg(feature = "shadow")]
            predicted,
        });
    }

    /// Filter state and header for the router.
    fn tell(&self, variant: usize, out: &mut Outcome<'t>) {
        if let Some(state) = &self.ready.state {
            out.state.push((state, self.variant_name(variant)));
        }
        if let Some(told) = &self.ready.told
            && let Some(value) = told.values.get(variant)
        {
            out.headers.push(HeaderOp::Set(&told.name, Cow::Borrowed(value)));
        }
    }

    /// Chooses with what earlier hops decided, and tells the hops behind.
    #[inline(never)]
    fn among_hops(&self, decisions: &'t Decisions, out: &mut Outcome<'t>) -> Choice {
        let header = self.reads.header(&decisions.header);
        if self.table.config.kill_switch {
            if header.is_some() {
                out.headers.push(HeaderOp::Remove(&decisions.header));
            }
            return self.choose(None, out);
        }
        let inbound = self.route.inbound.clone().unwrap_or_default();
        let (pairs, faults) = match &header {
            Some(header) => hops::verify(header, &decisions.audience, (self.env.now)(), &self.env.keyring.decisions),
            None => Default::default(),
        };
        let mut changed = !faults.is_empty() || (header.is_some() && pairs.is_empty());
        out.events.extend(faults.into_iter().map(Event::BadToken));
        let mine = pairs.iter().find(|pair| pair.route == self.route.name).filter(|_| inbound.accept);
        let accepted = mine.and_then(|pair| self.route.variants.iter().position(|v| v.name == pair.variant));
        if mine.is_some() && accepted.is_none() {
            out.events.push(Event::BadToken(TokenFault::Variant));
        }
        let choice = self.choose(accepted, out);
        let own = match &self.env.keyring.signer {
            Some(kid) if inbound.emit && !self.killed => self.route.variants.get(choice.variant).and_then(|variant| {
                let (audience, now) = (&decisions.audience, (self.env.now)());
                hops::sign(audience, &self.route.name, &variant.name, now, &self.env.keyring.decisions, kid)
            }),
            _ => None,
        };
        // Ours takes the place of an earlier one; under a kill none of this route passes on.
        let replaced = own.is_some() || self.killed;
        let kept = pairs.iter().filter(|pair| !(replaced && pair.route == self.route.name));
        changed |= own.is_some() || kept.clone().count() != pairs.len();
        if changed {
            write_pairs(decisions, kept.map(|pair| pair.text), own.as_deref(), out);
        }
        choice
    }

    fn choose(&self, inbound: Option<usize>, out: &mut Outcome<'t>) -> Choice {
        let stable = self.ready.stable;
        if self.killed {
            let all = self.table.config.kill_switch;
            step(self.env, || {
                let rule = if all { "killSwitch".to_owned() } else { format!("routes[{}].killSwitch", self.index) };
                (rule, "on: everything is stable".to_owned())
            });
            return Choice::new(stable, Reason::Kill);
        }
        if let Some(variant) = self.overridden(out) {
            return Choice::new(variant, Reason::Override);
        }
        if let Some(variant) = inbound {
            self.step(".inbound", || format!("an earlier hop signed `{}`", self.variant_name(variant)));
            return Choice::new(variant, Reason::Inbound);
        }
        match self.key() {
            Some(key) => {
                self.step(".key", || format!("`{}`", String::from_utf8_lossy(key)));
                self.by_key(key)
            }
            None => self.without_key(),
        }
    }

    fn overridden(&self, out: &mut Outcome<'t>) -> Option<usize> {
        let mut holder: Option<Option<Claims>> = None;
        for (i, rule) in self.ready.overrides.iter().enumerate() {
            let told = |words: &str| self.step(&format!(".overrides[{i}]"), || words.to_owned());
            if !rule.asked(self.reads) {
                if self.env.listener().is_some() {
                    told("does not match");
                }
                continue;
            }
            if !rule.open {
                let claims = holder.get_or_insert_with(|| self.token(out));
                let may = claims.as_ref().is_some_and(|claims| {
                    claims.variant == self.variant_name(rule.variant)
                        && claims.route.as_ref().is_none_or(|route| *route == self.route.name)
                });
                if !may {
                    if self.env.listener().is_some() {
                        told("matches, but there is no valid token for its variant");
                    }
                    continue;
                }
            }
            if self.env.listener().is_some() {
                told("matches");
            }
            return Some(rule.variant);
        }
        None
    }

    /// The claims of the request's token, when it is to be believed; why not is an event.
    #[inline(never)]
    fn token(&self, out: &mut Outcome<'t>) -> Option<Claims> {
        let tokens = self.table.config.tokens.as_ref()?;
        let header = self.reads.header(&tokens.header);
        let cookie = tokens.cookie.as_ref().and_then(|name| self.reads.cookie(name));
        for token in [header, cookie].into_iter().flatten().filter(|token| !token.is_empty()) {
            match token::verify(&token, &self.env.keyring.tokens, &tokens.audience, (self.env.now)()) {
                Ok(claims) => {
                    if !self.knows(&claims) {
                        out.events.push(Event::BadToken(TokenFault::Variant));
                    }
                    return Some(claims);
                }
                Err(fault) => {
                    step(self.env, || ("tokens".to_owned(), format!("the token is not believed: {}", fault.as_str())));
                    out.events.push(Event::BadToken(fault));
                }
            }
        }
        None
    }

    /// Whether a token's variant and route are here; one for another route of the configuration is.
    fn knows(&self, claims: &Claims) -> bool {
        let routes = &self.table.config.routes;
        let route = match &claims.route {
            Some(name) => routes.iter().find(|route| route.name == *name),
            None => Some(self.route),
        };
        route.is_some_and(|route| route.variants.iter().any(|variant| variant.name == claims.variant))
    }

    fn by_key(&self, key: &[u8]) -> Choice {
        let (include, exclude) = (&self.ready.include, &self.ready.exclude);
        let hash = if include.is_empty() && exclude.is_empty() { 0 } else { list_hash(key) };
        if !include.is_empty() {
            let included = include.get(hash).and_then(|variant| usize::try_from(variant).ok());
            self.step(".include", || match included {
                Some(variant) => format!("the key is listed for `{}`", self.variant_name(variant)),
                None => "the key is not listed".to_owned(),
            });
            if let Some(variant) = included {
                return Choice::new(variant, Reason::Include);
            }
        }
        let mut excluded = 0;
        if !exclude.is_empty() {
            excluded = exclude.get(hash).unwrap_or(0);
            self.step(".exclude", || {
                if excluded == 0 { "the key is not listed".to_owned() } else { "the key is listed".to_owned() }
            });
        }
        let (segment, split) = self.segment();
        let chosen = split.choose_except(key, excluded);
        // A key that any list touched says nothing about a population, so it is not judged whichever way it fell.
        let touched = excluded & split.weighted() != 0;
        let reason = match chosen {
            None => Reason::Fallback,
            Some(_) if touched => Reason::Exclude,
            Some(_) => Reason::Hash,
        };
        Choice { variant: chosen.unwrap_or(self.ready.stable), reason, segment, issued: None }
    }

    #[inline(never)]
    fn without_key(&self) -> Choice {
        let stable = self.ready.stable;
        let absent = self.ready.key.as_ref().map(|keys| keys.absent);
        self.step(".key", || match absent {
            None => "the route has none: stable".to_owned(),
            Some(Absent::Stable) => "no source yields one: stable".to_owned(),
            Some(Absent::Random) => "no source yields one: at random".to_owned(),
            Some(Absent::IssueCookie) => "no source yields one: a cookie is issued".to_owned(),
        });
        if matches!(absent, None | Some(Absent::Stable)) {
            return Choice::new(stable, Reason::NoKey);
        }
        let Some(random) = (self.env.random)() else { return Choice::new(stable, Reason::Fallback) };
        let (segment, split) = self.segment();
        if absent == Some(Absent::IssueCookie) {
            let value = format!("{random:032x}");
            return match split.choose(value.as_bytes()) {
                Some(variant) => Choice { variant, reason: Reason::Issued, segment, issued: Some(value) },
                None => Choice { segment, ..Choice::new(stable, Reason::Fallback) },
            };
        }
        // The lower 64 bits.
        match split.pick(random as u64) {
            Some(variant) => Choice { segment, ..Choice::new(variant, Reason::Random) },
            None => Choice { segment, ..Choice::new(stable, Reason::Fallback) },
        }
    }

    /// The first segment that matches and its split, or the route's own.
    fn segment(&self) -> (usize, &'t Split) {
        for (i, (matcher, split)) in self.ready.segments.iter().enumerate() {
            let miss = matcher.miss(self.reads, false);
            step(self.env, || {
                let place = miss.map_or_else(String::new, |miss| miss.path());
                let words = if miss.is_none() { "holds: its weights count" } else { "does not hold" };
                (format!("routes[{}].segments[{i}].match{place}", self.index), words.to_owned())
            });
            if miss.is_none() {
                return (i + 1, split);
            }
        }
        (0, &self.ready.split)
    }

    fn mirror<'k>(&self, key: impl Fn() -> Option<&'k [u8]>, out: &mut Outcome<'t>) -> Copy {
        let Some(mirror) = self.ready.mirror.as_ref().filter(|_| !self.killed) else { return Copy::None };
        let key = if mirror.by_key() { key() } else { None };
        let copy = mirror.decide(key, self.reads, self.env);
        self.step(".mirror", || match copy {
            Copy::None => "not in the share".to_owned(),
            Copy::Sent => "a copy is sent".to_owned(),
            Copy::Refused(why) => format!("in the share, but not copied: {}", why.as_str()),
        });
        if copy == Copy::Sent {
            if let Some(state) = &mirror.state {
                out.state.push((state, "1"));
            }
            if let Some((name, value)) = &mirror.header {
                out.headers.push(HeaderOp::Set(name, Cow::Borrowed(value)));
            }
        }
        copy
    }

    /// A copy by the filter, of what stable serves.
    #[cfg(feature = "shadow")]
    fn shadow<'k>(&self, choice: &Choice, key: impl Fn() -> Option<&'k [u8]>) -> Option<crate::Sampled> {
        let shadow = self.ready.shadow.as_ref().filter(|shadow| !self.killed && shadow.is_on())?;
        if choice.variant != self.ready.stable {
            return None;
        }
        let weighed = matches!(choice.reason, Reason::Hash | Reason::Issued | Reason::Random | Reason::Exclude);
        let segment = if weighed || !shadow.by_segment() { choice.segment } else { self.segment().0 };
        let sampled = shadow.decide(segment, key, self.reads, self.env);
        self.step(".shadow", || match &sampled {
            None => "not in the share".to_owned(),
            Some(crate::Sampled { refused: None, .. }) => "a copy is sent, and its answer compared".to_owned(),
            Some(crate::Sampled { refused: Some(why), .. }) => {
                format!("in the share, but not copied: {}", why.as_str())
            }
        });
        sampled
    }

    /// Whether predictions are read from it.
    #[cfg(feature = "shadow")]
    fn is_predicted(&self) -> bool {
        let chosen = self.ready.predicting.as_ref().is_some_and(|predicting| predicting.chooses(self.env));
        if self.ready.predicting.is_some() {
            self.step(".predictions", || if chosen { "are read" } else { "not in the share" }.to_owned());
        }
        chosen
    }

    /// The request's key, read once.
    fn key(&self) -> Option<&[u8]> {
        self.key.get_or_init(|| self.ready.key.as_ref()?.find(self.reads)).as_deref()
    }

    fn variant_name(&self, index: usize) -> &'t str {
        self.ready.variants.get(index).map(|name| &**name).unwrap_or_default()
    }

    /// A step at a field of the route.
    fn step(&self, field: &str, words: impl FnOnce() -> String) {
        step(self.env, || (format!("routes[{}]{field}", self.index), words()));
    }
}

/// Writes a step when anybody listens.
fn step(env: &Env<'_>, words: impl FnOnce() -> (String, String)) {
    if let Some(trace) = env.listener() {
        let (rule, result) = words();
        trace.step(&rule, &result);
    }
}

/// The decisions header as it goes on.
fn write_pairs<'t, 'h>(
    decisions: &'t Decisions,
    kept: impl Iterator<Item = &'h str>,
    own: Option<&'h str>,
    out: &mut Outcome<'t>,
) {
    let value = kept.chain(own).collect::<Vec<_>>().join(", ");
    out.headers.push(if value.is_empty() {
        HeaderOp::Remove(&decisions.header)
    } else {
        HeaderOp::Set(&decisions.header, Cow::Owned(value))
    });
}
