//! `headgate token`: an override token, JWS compact serialization (RFC 7515) with HS256.

use std::time::{SystemTime, UNIX_EPOCH};

use headgate_contract::limits::TOKEN_SECONDS;
use headgate_routing::Ring;
use headgate_routing::token::{Claims, sign};
use serde_json::json;

use crate::answer::Answer;
use crate::cli::requests::Token;
use crate::exit::{Exit, Failure};
use crate::plugin::Plugin;

/// Shortest key that a filter believes, in bytes.
const KEY_BYTES: usize = 32;

pub(super) fn run(args: &Token) -> Result<Answer, Failure> {
    let seconds = args.ttl.as_secs();
    let usage = |reason: String| Failure::new(Exit::Usage, reason);
    if seconds == 0 || seconds > TOKEN_SECONDS {
        return Err(usage(format!("--ttl is {}, but must be from 1s to 24h", humantime::format_duration(args.ttl))));
    }
    let (mut audience, mut id, mut env) = (args.audience.clone(), args.key_id.clone(), args.key_env.clone());
    if let Some(path) = &args.file {
        let plugin = Plugin::read(path, None)?;
        check(&plugin, args).map_err(usage)?;
        let file = path.display();
        let none = || usage(format!("{file} has no `tokens`: no filter would believe a token; add audience and keys"));
        let tokens = plugin.config.tokens.as_ref().ok_or_else(none)?;
        let key = match &id {
            None => tokens.keys.first(),
            Some(id) => tokens.keys.iter().find(|k| k.id == *id),
        };
        let known: Vec<&str> = tokens.keys.iter().map(|k| k.id.as_str()).collect();
        let key =
            key.ok_or_else(|| usage(format!("{file} has no such key: it has {}", crate::structure::list(&known))))?;
        if audience.as_ref().is_some_and(|a| *a != tokens.audience) {
            return Err(usage(format!("--audience is not the file's, {}: leave it out", tokens.audience)));
        }
        audience = Some(tokens.audience.clone());
        id = Some(key.id.clone());
        env.get_or_insert_with(|| key.env.clone());
    }
    let (Some(audience), Some(id), Some(env)) = (audience, id, env) else {
        return Err(usage("give --file, or --audience, --key-id and --key-env".to_owned()));
    };
    let key = std::env::var_os(&env).ok_or_else(|| {
        Failure::failed(format!("the environment variable {env} is not set: it must hold the key `{id}`"))
    })?;
    let key = std::os::unix::ffi::OsStrExt::as_bytes(key.as_os_str());
    if key.len() < KEY_BYTES {
        return Err(Failure::failed(format!(
            "the key in {env} has {} bytes, a filter believes none below {KEY_BYTES}",
            key.len()
        )));
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|e| Failure::failed(format!("the clock is before 1970: {e}")))?;
    let expires = now.as_secs() + seconds;
    let claims = Claims { aud: audience, variant: args.variant.clone(), exp: expires, route: args.route.clone() };
    let token = sign(&claims, &Ring::new([(id.as_str(), key)]), &id)
        .ok_or_else(|| Failure::failed(format!("the key in {env} cannot be used")))?;
    Ok(Answer::done(json!({"token": token, "expires": expires, "keyId": id, "claims": claims}), token))
}

fn check(plugin: &Plugin, args: &Token) -> Result<(), String> {
    let mut routes =
        plugin.config.routes.iter().filter(|r| args.route.as_ref().is_none_or(|wanted| *wanted == r.name)).peekable();
    if let (Some(wanted), None) = (&args.route, routes.peek()) {
        let names: Vec<&str> = plugin.config.routes.iter().map(|r| r.name.as_str()).collect();
        return Err(format!("there is no route `{wanted}`: the file has {}", crate::structure::list(&names)));
    }
    if routes.any(|r| r.variants.iter().any(|v| v.name == args.variant)) {
        return Ok(());
    }
    Err(format!("no route that the token is for has a variant `{}`", args.variant))
}
