//! The fields of each of the contract's types, by the names they have in a document, and what their absence means.
//!
//! The same as the attributes beside the types say to Serde and to the JSON Schema; tests hold them together.

use crate::de::{At, Fields, FromNode, FromObject, choice};
use crate::{
    Absent, AddressSource, ClaimMatch, ClaimSource, ClaimType, ClientAddress, CookieIssue, Decisions, Envelope,
    FieldMatch, Goal, HeaderOutput, Inbound, KeyList, KeyPolicy, KeySource, Match, Metrics, Mirror, MirrorBy, Output,
    Override, PathMatch, PluginConfig, Replicate, Route, SameSite, Segment, TokenKey, Tokens, Variant,
};
use crate::{config, goals, key, output};

/// For each type its fields: how each is read, by which name, and what stands for one that is absent.
macro_rules! objects {
    ($($type:ident { $($(#[$when:meta])? $field:ident: $read:ident($($argument:expr),+),)+ })+) => {
        $(impl FromObject for $type {
            fn from_object(fields: &Fields<'_>) -> Self {
                Self { $($(#[$when])? $field: fields.$read($($argument),+),)+ }
            }
        })+
    };
}

/// For each enumeration its names, and the one that stands for what is none of them, so that reading goes on to the next mistake.
macro_rules! choices {
    ($($type:ident or $fallback:ident { $($name:literal => $choice:ident,)+ })+) => {
        $(impl FromNode for $type {
            fn from_node(at: &At<'_>) -> Self {
                choice(at, &[$($name),+], &[$(Self::$choice),+], Self::$fallback)
            }
        })+
    };
}

objects! {
    PluginConfig {
        contract: required("contract"),
        revision: required("revision"),
        kill_switch: optional("killSwitch"),
        target: or("target", config::target),
        stage: optional("stage"),
        requires: optional("requires"),
        tokens: optional("tokens"),
        decisions: optional("decisions"),
        client_address: optional("clientAddress"),
        metrics: optional("metrics"),
        #[cfg(feature = "shadow")]
        shadowing: optional("shadowing"),
        routes: optional("routes"),
    }
    Tokens {
        audience: required("audience"),
        header: or("header", config::token_header),
        cookie: optional("cookie"),
        keys: required("keys"),
    }
    TokenKey {
        id: required("id"),
        env: required("env"),
    }
    Decisions {
        audience: required("audience"),
        header: or("header", config::decisions_header),
        keys: required("keys"),
    }
    ClientAddress {
        trusted_hops: optional("trustedHops"),
    }
    Metrics {
        replicates: optional("replicates"),
    }
    Route {
        name: required("name"),
        matches: optional("match"),
        variants: required("variants"),
        stable: required("stable"),
        kill_switch: optional("killSwitch"),
        key: optional("key"),
        salt: optional("salt"),
        overrides: optional("overrides"),
        include: optional("include"),
        exclude: optional("exclude"),
        segments: optional("segments"),
        inbound: optional("inbound"),
        mirror: optional("mirror"),
        #[cfg(feature = "shadow")]
        shadow: optional("shadow"),
        #[cfg(feature = "shadow")]
        predictions: optional("predictions"),
        goals: optional("goals"),
        output: optional("output"),
    }
    Goal {
        name: required("name"),
        matches: optional("match"),
        status: or("status", goals::status),
        response_headers: optional("responseHeaders"),
    }
    Variant {
        name: required("name"),
        weight: required("weight"),
        cluster: optional("cluster"),
    }
    KeyList {
        variant: required("variant"),
        keys: optional("keys"),
        hashes: optional("hashes"),
    }
    Segment {
        name: required("name"),
        matches: required("match"),
        weights: required("weights"),
    }
    Inbound {
        accept: optional("accept"),
        emit: optional("emit"),
    }
    Match {
        hosts: optional("hosts"),
        not_hosts: optional("notHosts"),
        path: optional("path"),
        methods: optional("methods"),
        not_methods: optional("notMethods"),
        headers: optional("headers"),
        query: optional("query"),
        claims: optional("claims"),
    }
    PathMatch {
        exact: optional("exact"),
        prefix: optional("prefix"),
        regex: optional("regex"),
        invert: optional("invert"),
    }
    FieldMatch {
        name: required("name"),
        exact: optional("exact"),
        prefix: optional("prefix"),
        suffix: optional("suffix"),
        contains: optional("contains"),
        regex: optional("regex"),
        one_of: optional("oneOf"),
        present: optional("present"),
        invert: optional("invert"),
    }
    ClaimMatch {
        provider: required("provider"),
        claim: required("claim"),
        exact: optional("exact"),
        one_of: optional("oneOf"),
        present: optional("present"),
        invert: optional("invert"),
    }
    KeyPolicy {
        sources: required("sources"),
        absent: optional("absent"),
        cookie: optional("cookie"),
    }
    KeySource {
        header: optional("header"),
        cookie: optional("cookie"),
        query: optional("query"),
        claim: optional("claim"),
        client_address: optional("clientAddress"),
    }
    ClaimSource {
        provider: optional("provider"),
        claim: required("claim"),
        r#type: optional("type"),
        unverified: optional("unverified"),
        header: optional("header"),
    }
    AddressSource {
        prefix_v4: optional("prefixV4"),
        prefix_v6: optional("prefixV6"),
    }
    CookieIssue {
        name: or("name", key::cookie_name),
        path: or("path", key::cookie_path),
        domain: optional("domain"),
        max_age: or("maxAge", key::cookie_max_age),
        same_site: optional("sameSite"),
        secure: or("secure", key::yes),
        http_only: or("httpOnly", key::yes),
        make_private: or("makePrivate", key::yes),
    }
    Override {
        header: optional("header"),
        cookie: optional("cookie"),
        query: optional("query"),
        exact: optional("exact"),
        prefix: optional("prefix"),
        regex: optional("regex"),
        one_of: optional("oneOf"),
        variant: required("variant"),
        open_to_anyone: optional("openToAnyone"),
    }
    Output {
        filter_state: or("filterState", output::filter_state),
        request_header: optional("requestHeader"),
        response_header: optional("responseHeader"),
        default_route: optional("defaultRoute"),
    }
    HeaderOutput {
        name: required("name"),
        nonce: optional("nonce"),
    }
    Mirror {
        share: required("share"),
        by: optional("by"),
        filter_state: or("filterState", output::mirror_state),
        request_header: optional("requestHeader"),
        max_body_bytes: or("maxBodyBytes", output::mirror_body),
    }
    Envelope {
        contract: required("contract"),
        revision: required("revision"),
        kill_switch: optional("killSwitch"),
    }
}

choices! {
    Replicate or Requests {
        "requests" => Requests,
        "finished" => Finished,
        "failures" => Failures,
        "timeouts" => Timeouts,
        "latency" => Latency,
        "clientErrors" => ClientErrors,
    }
    ClaimType or String {
        "string" => String,
        "number" => Number,
    }
    Absent or Stable {
        "stable" => Stable,
        "random" => Random,
        "issueCookie" => IssueCookie,
    }
    SameSite or Lax {
        "strict" => Strict,
        "lax" => Lax,
        "none" => None,
    }
    MirrorBy or Hash {
        "hash" => Hash,
        "random" => Random,
    }
}

#[cfg(feature = "shadow")]
mod shadowing {
    use super::{Fields, FromObject};
    use crate::shadow;
    use crate::{Budget, NoiseCopy, Recorded, Records, ReplacedHeader, Shadow, Shadowing};

    objects! {
        Shadow {
            cluster: required("cluster"),
            share: required("share"),
            by: optional("by"),
            segments: optional("segments"),
            methods: or("methods", shadow::methods),
            timeout_ms: or("timeoutMs", shadow::timeout),
            max_body_bytes: or("maxBodyBytes", shadow::body),
            host: optional("host"),
            drop_headers: optional("dropHeaders"),
            replace_headers: optional("replaceHeaders"),
            noise: optional("noise"),
            compare: optional("compare"),
            record: optional("record"),
        }
        ReplacedHeader {
            name: required("name"),
            value: optional("value"),
            env: optional("env"),
        }
        NoiseCopy {
            cluster: required("cluster"),
            share: or("share", shadow::everything),
            relative: or("relative", shadow::relative),
            absolute: or("absolute", shadow::absolute),
        }
        Recorded {
            matches: or("matches", shadow::everything),
            values: optional("values"),
            path: optional("path"),
            query: optional("query"),
            headers: optional("headers"),
            body_bytes: optional("bodyBytes"),
        }
        Shadowing {
            budget: optional("budget"),
            records: optional("records"),
        }
        Budget {
            in_flight: or("inFlight", shadow::pairs),
            per_second: or("perSecond", shadow::rate),
            bytes: or("bytes", shadow::held),
        }
        Records {
            cluster: optional("cluster"),
            log: optional("log"),
            path: or("path", shadow::path),
            token_env: optional("tokenEnv"),
            per_second: or("perSecond", shadow::records),
            record_bytes: or("recordBytes", shadow::record),
            batch_bytes: or("batchBytes", shadow::batch),
            every_ms: or("everyMs", shadow::every),
        }
    }
}
