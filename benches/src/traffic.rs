//! The requests that all sides get: the same ones, in the same order.

/// Hosts among which users are spread; the large configuration has a route for each.
pub(crate) const HOSTS: usize = 1_000;
/// Requests, one for each user; they are sent over and over.
pub(crate) const REQUESTS: usize = 4_000;

/// The requests as bytes, by user.
///
/// Of 20 users one carries the override's header, and one carries a routing header and a token that are forged. The other
/// headers are an ordinary client's.
pub(crate) fn requests() -> Vec<Vec<u8>> {
    (0..REQUESTS)
        .map(|user| {
            let extra = if asks_for_canary(user) {
                "x-canary: always\r\n"
            } else if user % 20 == 7 {
                "x-headgate-variant: canary\r\nx-headgate-token: e30.e30.e30\r\n"
            } else {
                ""
            };
            format!(
                "GET /v1/models/digits/predict?row={user} HTTP/1.1\r\nhost: {}\r\nuser-agent: bench/1\r\naccept: application/json\r\n\
                 accept-encoding: gzip, br\r\naccept-language: en-GB,en;q=0.8\r\ncookie: theme=dark; lang=en\r\nx-user-id: user-{user}\r\n{extra}\r\n",
                host(user)
            )
            .into_bytes()
        })
        .collect()
}

/// Requests of users who ask for nothing special.
pub(crate) fn users() -> Vec<Vec<u8>> {
    let of = |user: usize| format!("GET /predict HTTP/1.1\r\nhost: {}\r\nx-user-id: user-{user}\r\n\r\n", host(user));
    (0..REQUESTS).map(|user| of(user).into_bytes()).collect()
}

/// The host that a user asks.
pub(crate) fn host(user: usize) -> String {
    format!("shop-{:03}.example", user % HOSTS)
}

/// Whether the user's request carries the override for the canary.
pub(crate) fn asks_for_canary(user: usize) -> bool {
    user % 20 == 13
}
