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

impl FromObject for PluginConfig {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            contract: fields.required("contract"),
            revision: fields.required("revision"),
            kill_switch: fields.optional("killSwitch"),
            target: fields.or("target", config::target),
            stage: fields.optional("stage"),
            requires: fields.optional("requires"),
            tokens: fields.optional("tokens"),
            decisions: fields.optional("decisions"),
            client_address: fields.optional("clientAddress"),
            metrics: fields.optional("metrics"),
            #[cfg(feature = "shadow")]
            shadowing: fields.optional("shadowing"),
            routes: fields.optional("routes"),
        }
    }
}

impl FromObject for Tokens {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            audience: fields.required("audience"),
            header: fields.or("header", config::token_header),
            cookie: fields.optional("cookie"),
            keys: fields.required("keys"),
        }
    }
}

impl FromObject for TokenKey {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self { id: fields.required("id"), env: fields.required("env") }
    }
}

impl FromObject for Decisions {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            audience: fields.required("audience"),
            header: fields.or("header", config::decisions_header),
            keys: fields.required("keys"),
        }
    }
}

impl FromObject for ClientAddress {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self { trusted_hops: fields.optional("trustedHops") }
    }
}

impl FromObject for Metrics {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self { replicates: fields.optional("replicates") }
    }
}

impl FromObject for Route {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            name: fields.required("name"),
            matches: fields.optional("match"),
            variants: fields.required("variants"),
            stable: fields.required("stable"),
            kill_switch: fields.optional("killSwitch"),
            key: fields.optional("key"),
            salt: fields.optional("salt"),
            overrides: fields.optional("overrides"),
            include: fields.optional("include"),
            exclude: fields.optional("exclude"),
            segments: fields.optional("segments"),
            inbound: fields.optional("inbound"),
            mirror: fields.optional("mirror"),
            #[cfg(feature = "shadow")]
            shadow: fields.optional("shadow"),
            #[cfg(feature = "shadow")]
            predictions: fields.optional("predictions"),
            goals: fields.optional("goals"),
            output: fields.optional("output"),
        }
    }
}

impl FromObject for Goal {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            name: fields.required("name"),
            matches: fields.optional("match"),
            status: fields.or("status", goals::status),
            response_headers: fields.optional("responseHeaders"),
        }
    }
}

impl FromObject for Variant {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self { name: fields.required("name"), weight: fields.required("weight"), cluster: fields.optional("cluster") }
    }
}

impl FromObject for KeyList {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self { variant: fields.required("variant"), keys: fields.optional("keys"), hashes: fields.optional("hashes") }
    }
}

impl FromObject for Segment {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self { name: fields.required("name"), matches: fields.required("match"), weights: fields.required("weights") }
    }
}

impl FromObject for Inbound {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self { accept: fields.optional("accept"), emit: fields.optional("emit") }
    }
}

impl FromObject for Match {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            hosts: fields.optional("hosts"),
            not_hosts: fields.optional("notHosts"),
            path: fields.optional("path"),
            methods: fields.optional("methods"),
            not_methods: fields.optional("notMethods"),
            headers: fields.optional("headers"),
            query: fields.optional("query"),
            claims: fields.optional("claims"),
        }
    }
}

impl FromObject for PathMatch {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            exact: fields.optional("exact"),
            prefix: fields.optional("prefix"),
            regex: fields.optional("regex"),
            invert: fields.optional("invert"),
        }
    }
}

impl FromObject for FieldMatch {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            name: fields.required("name"),
            exact: fields.optional("exact"),
            prefix: fields.optional("prefix"),
            suffix: fields.optional("suffix"),
            contains: fields.optional("contains"),
            regex: fields.optional("regex"),
            one_of: fields.optional("oneOf"),
            present: fields.optional("present"),
            invert: fields.optional("invert"),
        }
    }
}

impl FromObject for ClaimMatch {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            provider: fields.required("provider"),
            claim: fields.required("claim"),
            exact: fields.optional("exact"),
            one_of: fields.optional("oneOf"),
            present: fields.optional("present"),
            invert: fields.optional("invert"),
        }
    }
}

impl FromObject for KeyPolicy {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            sources: fields.required("sources"),
            absent: fields.optional("absent"),
            cookie: fields.optional("cookie"),
        }
    }
}

impl FromObject for KeySource {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            header: fields.optional("header"),
            cookie: fields.optional("cookie"),
            query: fields.optional("query"),
            claim: fields.optional("claim"),
            client_address: fields.optional("clientAddress"),
        }
    }
}

impl FromObject for ClaimSource {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            provider: fields.optional("provider"),
            claim: fields.required("claim"),
            r#type: fields.optional("type"),
            unverified: fields.optional("unverified"),
            header: fields.optional("header"),
        }
    }
}

impl FromObject for AddressSource {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self { prefix_v4: fields.optional("prefixV4"), prefix_v6: fields.optional("prefixV6") }
    }
}

impl FromObject for CookieIssue {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            name: fields.or("name", key::cookie_name),
            path: fields.or("path", key::cookie_path),
            domain: fields.optional("domain"),
            max_age: fields.or("maxAge", key::cookie_max_age),
            same_site: fields.optional("sameSite"),
            secure: fields.or("secure", key::yes),
            http_only: fields.or("httpOnly", key::yes),
            make_private: fields.or("makePrivate", key::yes),
        }
    }
}

impl FromObject for Override {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            header: fields.optional("header"),
            cookie: fields.optional("cookie"),
            query: fields.optional("query"),
            exact: fields.optional("exact"),
            prefix: fields.optional("prefix"),
            regex: fields.optional("regex"),
            one_of: fields.optional("oneOf"),
            variant: fields.required("variant"),
            open_to_anyone: fields.optional("openToAnyone"),
        }
    }
}

impl FromObject for Output {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            filter_state: fields.or("filterState", output::filter_state),
            request_header: fields.optional("requestHeader"),
            response_header: fields.optional("responseHeader"),
            default_route: fields.optional("defaultRoute"),
        }
    }
}

impl FromObject for HeaderOutput {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self { name: fields.required("name"), nonce: fields.optional("nonce") }
    }
}

impl FromObject for Mirror {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            share: fields.required("share"),
            by: fields.optional("by"),
            filter_state: fields.or("filterState", output::mirror_state),
            request_header: fields.optional("requestHeader"),
            max_body_bytes: fields.or("maxBodyBytes", output::mirror_body),
        }
    }
}

impl FromObject for Envelope {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            contract: fields.required("contract"),
            revision: fields.required("revision"),
            kill_switch: fields.optional("killSwitch"),
        }
    }
}

impl FromNode for Replicate {
    fn from_node(at: &At<'_>) -> Self {
        choice(
            at,
            &["requests", "finished", "failures", "timeouts", "latency", "clientErrors"],
            &[Self::Requests, Self::Finished, Self::Failures, Self::Timeouts, Self::Latency, Self::ClientErrors],
            Self::Requests,
        )
    }
}

impl FromNode for ClaimType {
    fn from_node(at: &At<'_>) -> Self {
        choice(at, &["string", "number"], &[Self::String, Self::Number], Self::String)
    }
}

impl FromNode for Absent {
    fn from_node(at: &At<'_>) -> Self {
        choice(at, &["stable", "random", "issueCookie"], &[Self::Stable, Self::Random, Self::IssueCookie], Self::Stable)
    }
}

impl FromNode for SameSite {
    fn from_node(at: &At<'_>) -> Self {
        choice(at, &["strict", "lax", "none"], &[Self::Strict, Self::Lax, Self::None], Self::Lax)
    }
}

impl FromNode for MirrorBy {
    fn from_node(at: &At<'_>) -> Self {
        choice(at, &["hash", "random"], &[Self::Hash, Self::Random], Self::Hash)
    }
}

#[cfg(feature = "shadow")]
mod shadowing {
    use super::{Fields, FromObject};
    use crate::shadow;
    use crate::{Budget, NoiseCopy, Recorded, Records, ReplacedHeader, Shadow, Shadowing};

    impl FromObject for Shadow {
        fn from_object(fields: &Fields<'_>) -> Self {
            Self {
                cluster: fields.required("cluster"),
                share: fields.required("share"),
                by: fields.optional("by"),
                segments: fields.optional("segments"),
                methods: fields.or("methods", shadow::methods),
                timeout_ms: fields.or("timeoutMs", shadow::timeout),
                max_body_bytes: fields.or("maxBodyBytes", shadow::body),
                host: fields.optional("host"),
                drop_headers: fields.optional("dropHeaders"),
                replace_headers: fields.optional("replaceHeaders"),
                noise: fields.optional("noise"),
                compare: fields.optional("compare"),
                record: fields.optional("record"),
            }
        }
    }

    impl FromObject for ReplacedHeader {
        fn from_object(fields: &Fields<'_>) -> Self {
            Self { name: fields.required("name"), value: fields.optional("value"), env: fields.optional("env") }
        }
    }

    impl FromObject for NoiseCopy {
        fn from_object(fields: &Fields<'_>) -> Self {
            Self {
                cluster: fields.required("cluster"),
                share: fields.or("share", shadow::everything),
                relative: fields.or("relative", shadow::relative),
                absolute: fields.or("absolute", shadow::absolute),
            }
        }
    }

    impl FromObject for Recorded {
        fn from_object(fields: &Fields<'_>) -> Self {
            Self {
                matches: fields.or("matches", shadow::everything),
                values: fields.optional("values"),
                path: fields.optional("path"),
                query: fields.optional("query"),
                headers: fields.optional("headers"),
                body_bytes: fields.optional("bodyBytes"),
            }
        }
    }

    impl FromObject for Shadowing {
        fn from_object(fields: &Fields<'_>) -> Self {
            Self { budget: fields.optional("budget"), records: fields.optional("records") }
        }
    }

    impl FromObject for Budget {
        fn from_object(fields: &Fields<'_>) -> Self {
            Self {
                in_flight: fields.or("inFlight", shadow::pairs),
                per_second: fields.or("perSecond", shadow::rate),
                bytes: fields.or("bytes", shadow::held),
            }
        }
    }

    impl FromObject for Records {
        fn from_object(fields: &Fields<'_>) -> Self {
            Self {
                cluster: fields.optional("cluster"),
                log: fields.optional("log"),
                path: fields.or("path", shadow::path),
                token_env: fields.optional("tokenEnv"),
                per_second: fields.or("perSecond", shadow::records),
                record_bytes: fields.or("recordBytes", shadow::record),
                batch_bytes: fields.or("batchBytes", shadow::batch),
                every_ms: fields.or("everyMs", shadow::every),
            }
        }
    }
}
