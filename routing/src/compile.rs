//! From a configuration to a table, or all that is wrong with it.

use std::sync::Arc;

use headgate_contract::limits::{ALL_GOALS, LIST_ENTRIES, OVERRIDES, ROUTES, SEGMENTS, TOKEN_KEYS, VARIANTS, WEIGHT};
use headgate_contract::{CONTRACT, PluginConfig, Problems, Route, TokenKey, Variant};

use crate::RoutingTable;
use crate::checks::{Checks, twice};
use crate::goals;
use crate::host::HostIndex;
use crate::key::Keys;
use crate::matcher::Matcher;
use crate::mirror::Mirroring;
use crate::overrides::Rule;
use crate::series;
use crate::split::{Bucketer, Split, purpose};
use crate::table::Ready;
use crate::{lists, output};

/// Checks a configuration against everything that types cannot say (limits, references, exclusive fields, regular
/// expressions, number of metric series) and makes it ready. The result depends on the configuration alone.
///
/// # Errors
/// All that is wrong, each with its path and the way out.
pub fn compile(mut config: PluginConfig) -> Result<RoutingTable, Problems> {
    let mut checks = Checks::default();
    document(&config, &mut checks);
    let mut routes = Vec::with_capacity(config.routes.len());
    let mut hosts = HostIndex::default();
    let mut goals = Vec::new();
    for (i, route) in config.routes.iter().enumerate().take(ROUTES) {
        let path = format!("routes[{i}]");
        let before = i.checked_sub(1).and_then(|i| Some((config.routes.get(i)?, routes.get(i)?)));
        let ready = compile_route(route, &path, &config, before, &mut checks);
        goals::compile(route, i, &path, &mut checks, &mut goals);
        if let Ok(number) = u32::try_from(i) {
            hosts.add(number, &ready.matcher.hosts);
        }
        routes.push(ready);
    }
    checks.at_most("routes", "goals", goals.len(), ALL_GOALS);
    for list in config.routes.iter_mut().flat_map(|route| route.include.iter_mut().chain(&mut route.exclude)) {
        list.keys = Vec::new();
        list.hashes = Vec::new();
    }
    checks.problems.into_result(())?;
    Ok(RoutingTable::new(config, routes, hosts, goals))
}

/// What is not of one route.
fn document(config: &PluginConfig, checks: &mut Checks) {
    if config.contract != CONTRACT {
        checks.push("contract", format!("this build speaks contract {CONTRACT}: use a headgate of the same release"));
    }
    checks.name("target", &config.target);
    if !config.stage.is_empty() {
        checks.name("stage", &config.stage);
    }
    checks.at_most("routes", "routes", config.routes.len(), ROUTES);
    let entries: usize = config
        .routes
        .iter()
        .flat_map(|r| r.include.iter().chain(&r.exclude))
        .map(|l| l.keys.len() + l.hashes.len())
        .sum();
    checks.at_most("routes", "entries in include and exclude lists", entries, LIST_ENTRIES);
    checks.unique(config.routes.iter().map(|route| route.name.as_str()), |i| format!("routes[{i}].name"));
    for i in twice(config.metrics.replicates.iter()) {
        checks.push(format!("metrics.replicates[{i}]"), "is already on the list: name each metric once");
    }
    if let Some(tokens) = &config.tokens {
        checks.hashed("tokens.audience", &tokens.audience);
        checks.own_header("tokens.header", &tokens.header, "tokens");
        if let Some(cookie) = tokens.cookie.as_ref().filter(|name| !crate::cookie::is_name(name)) {
            checks.push("tokens.cookie", format!("`{cookie}` is no cookie's name (RFC 6265, section 4.1.1)"));
        }
        keys(&tokens.keys, "tokens.keys", checks);
    }
    if let Some(decisions) = &config.decisions {
        checks.hashed("decisions.audience", &decisions.audience);
        checks.own_header("decisions.header", &decisions.header, "decisions");
        keys(&decisions.keys, "decisions.keys", checks);
    }
    for (i, route) in config.routes.iter().enumerate().take(ROUTES) {
        if let Some(header) = &route.output.request_header {
            checks.own_header(&format!("routes[{i}].output.requestHeader.name"), &header.name, "variants");
        }
        if let Some(header) = route.mirror.as_ref().and_then(|mirror| mirror.request_header.as_ref()) {
            checks.own_header(&format!("routes[{i}].mirror.requestHeader.name"), &header.name, "mirrors");
        }
    }
    #[cfg(feature = "shadow")]
    crate::shadow::check(config, checks);
    series::check(config, checks);
}

fn keys(keys: &[TokenKey], path: &str, checks: &mut Checks) {
    checks.at_most(path, "keys", keys.len(), TOKEN_KEYS);
    if keys.is_empty() {
        checks.push(path, "names no key, so nothing could be believed: add one, or leave the section out");
    }
    checks.unique(keys.iter().map(|key| key.id.as_str()), |i| format!("{path}[{i}].id"));
    for (i, key) in keys.iter().enumerate() {
        checks.name(&format!("{path}[{i}].id"), &key.id);
        checks.variable(&format!("{path}[{i}].env"), &key.env);
    }
}

/// What the route shares with the one `before` it is kept once, as texts are (`Checks::share`).
fn compile_route(
    route: &Route,
    path: &str,
    config: &PluginConfig,
    before: Option<(&Route, &Ready)>,
    checks: &mut Checks,
) -> Ready {
    checks.name(&format!("{path}.name"), &route.name);
    let names: Vec<&str> = route.variants.iter().map(|variant| variant.name.as_str()).collect();
    variants(&route.variants, path, checks);
    let stable = checks.find(&format!("{path}.stable"), "variant", &route.stable, &names).unwrap_or_default();
    let salt = route.salt.as_deref().unwrap_or(&route.name);
    if route.salt.is_some() {
        checks.hashed(&format!("{path}.salt"), salt);
    }
    let matcher =
        route.matches.as_ref().map(|of| Matcher::compile(of, &format!("{path}.match"), checks)).unwrap_or_default();
    // What has problems is compiled anew, to be told at each of its places.
    let before = before.filter(|_| checks.problems.0.is_empty());
    let key = match before {
        Some((like, ready)) if like.key == route.key => ready.key.clone(),
        _ => (route.key.as_ref())
            .map(|of| Arc::new(Keys::compile(of, &config.client_address, &format!("{path}.key"), checks))),
    };
    token_cookie(route, config, key.as_deref(), path, checks);
    checks.at_most(&format!("{path}.overrides"), "overrides", route.overrides.len(), OVERRIDES);
    let overrides = match before {
        Some((like, ready)) if has_same_overrides(like, route) => Arc::clone(&ready.overrides),
        _ => {
            let overrides = route.overrides.iter().enumerate().take(OVERRIDES).map(|(i, of)| {
                Rule::compile(of, &format!("{path}.overrides[{i}]"), &names, config.tokens.is_some(), checks)
            });
            overrides.collect()
        }
    };
    let needs_key = [("include", route.include.is_empty()), ("exclude", route.exclude.is_empty())];
    for (field, _) in needs_key.iter().filter(|(_, empty)| !empty && key.is_none()) {
        checks.push(format!("{path}.{field}"), "lists keys, but the route has no `key`: say where keys come from");
    }
    if !route.segments.is_empty() && key.is_none() {
        checks.push(format!("{path}.segments"), "divide by key, but the route has no `key`: say where keys come from");
    }
    let (include, exclude) = lists::compile(&route.include, &route.exclude, path, &names, checks);
    let segments = segments(route, path, salt, &names, checks);
    if config.decisions.is_none() && route.inbound.as_ref().is_some_and(|inbound| inbound.accept || inbound.emit) {
        checks.push(
            format!("{path}.inbound"),
            "needs the document's `decisions`: whose signatures count, and the header",
        );
    }
    let mirror = route.mirror.as_ref().map(|of| Mirroring::compile(of, salt, &format!("{path}.mirror"), checks));
    let told = output::compile(&route.output, &route.variants, &format!("{path}.output"), checks);
    let untold = route
        .output
        .default_route
        .as_ref()
        .and_then(|name| checks.find(&format!("{path}.output.defaultRoute"), "variant", name, &names));
    if let Some(state) =
        mirror.as_ref().and_then(|m| m.state.as_ref()).filter(|s| Some(&***s) == route.output.filter_state.as_deref())
    {
        checks
            .push(format!("{path}.mirror.filterState"), format!("`{state}` already holds the variant: choose another"));
    }
    Ready {
        hosts_only: matcher.has_hosts_only(),
        matcher: Box::new(matcher),
        stable,
        kill: route.kill_switch,
        state: route.output.filter_state.as_ref().map(|state| checks.share(state)),
        variants: names.iter().map(|name| checks.share(name)).collect(),
        key,
        overrides,
        include,
        exclude,
        split: Split::new(salt, route.variants.iter().map(|v| (v.name.as_str(), v.weight))),
        segments,
        replicate: (!config.metrics.replicates.is_empty() || !route.goals.is_empty() || predicts(route))
            .then(|| Bucketer::new(salt, purpose::REPLICATE)),
        mirror,
        #[cfg(feature = "shadow")]
        shadow: (route.shadow.as_ref())
            .map(|of| crate::shadow::Shadowed::compile(of, route, salt, &format!("{path}.shadow"), checks)),
        #[cfg(feature = "shadow")]
        predicting: (route.predictions.as_ref())
            .map(|of| crate::Predicting::compile(of, route, &format!("{path}.predictions"), checks)),
        told,
        untold,
    }
}

/// Whether one compiled form does for the overrides of both: rules hold variants by number. Regular expressions are compiled, and
/// counted, for each route.
fn has_same_overrides(one: &Route, other: &Route) -> bool {
    one.overrides == other.overrides
        && one.variants.len() == other.variants.len()
        && one.variants.iter().zip(&other.variants).all(|(one, other)| one.name == other.name)
        && one.overrides.iter().all(|rule| rule.regex.is_none())
}

/// Whether its users are counted by bucket for its predictions.
#[cfg(feature = "shadow")]
fn predicts(route: &Route) -> bool {
    route.predictions.is_some()
}

#[cfg(not(feature = "shadow"))]
const fn predicts(_: &Route) -> bool {
    false
}

fn variants(variants: &[Variant], path: &str, checks: &mut Checks) {
    let at = format!("{path}.variants");
    checks.at_most(&at, "variants", variants.len(), VARIANTS);
    if variants.is_empty() {
        checks.push(&at, "names no variant: a route needs at least its stable one");
    } else if variants.iter().all(|variant| variant.weight == 0) {
        checks.push(&at, "every weight is 0, so nobody could be served: give `stable` one");
    }
    checks.unique(variants.iter().map(|variant| variant.name.as_str()), |i| format!("{at}[{i}].name"));
    for (i, variant) in variants.iter().enumerate() {
        checks.name(&format!("{at}[{i}].name"), &variant.name);
        weight(&format!("{at}[{i}].weight"), variant.weight, checks);
        if let Some(cluster) = &variant.cluster {
            checks.cluster(&format!("{at}[{i}].cluster"), cluster);
        }
    }
}

fn segments(route: &Route, path: &str, salt: &str, names: &[&str], checks: &mut Checks) -> Vec<(Matcher, Split)> {
    checks.at_most(&format!("{path}.segments"), "segments", route.segments.len(), SEGMENTS);
    checks.unique(route.segments.iter().map(|s| s.name.as_str()), |i| format!("{path}.segments[{i}].name"));
    let compile = |(i, segment): (usize, &headgate_contract::Segment)| {
        let at = format!("{path}.segments[{i}]");
        checks.name(&format!("{at}.name"), &segment.name);
        if segment.name == "default" {
            checks.push(
                format!("{at}.name"),
                "`default` is the label of requests without a segment: choose another name",
            );
        }
        for (name, value) in &segment.weights {
            checks.find(&format!("{at}.weights.{name}"), "variant", name, names);
            weight(&format!("{at}.weights.{name}"), *value, checks);
        }
        if segment.weights.values().all(|weight| *weight == 0) {
            checks.push(format!("{at}.weights"), "every weight is 0, so nobody could be served: give `stable` one");
        }
        let matcher = Matcher::compile(&segment.matches, &format!("{at}.match"), checks);
        let weights = names.iter().map(|name| (*name, segment.weights.get(*name).copied().unwrap_or_default()));
        (matcher, Split::new(salt, weights))
    };
    route.segments.iter().enumerate().take(SEGMENTS).map(compile).collect()
}

/// The token's cookie is cut off the request, so it can be nothing else.
fn token_cookie(route: &Route, config: &PluginConfig, key: Option<&Keys>, path: &str, checks: &mut Checks) {
    let Some(cookie) = config.tokens.as_ref().and_then(|tokens| tokens.cookie.as_deref()) else { return };
    let reason = || format!("`{cookie}` is the cookie for tokens (tokens.cookie): choose another one");
    if key.is_some_and(|key| key.cookies().any(|name| name == cookie)) {
        checks.push(format!("{path}.key"), reason());
    }
    for (i, _) in route.overrides.iter().enumerate().filter(|(_, of)| of.cookie.as_deref() == Some(cookie)) {
        checks.push(format!("{path}.overrides[{i}].cookie"), reason());
    }
}

fn weight(path: &str, weight: u32, checks: &mut Checks) {
    if weight > WEIGHT {
        checks.push(path, format!("{weight} is above {WEIGHT} (2^20): weights are relative, divide them all alike"));
    }
}
