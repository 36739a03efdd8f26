//! One request, from the client to the application and back.
//!
//! What a client says about itself does not pass: every `x-sealcast-*` and forwarding header is
//! taken off before ours are put on, so a request that carries the secret was made here, and the
//! connection it names is the one it came on.
//!
//! Bodies are streamed both ways, once the application asks for them (see `upload` and `answer`), or
//! handed to it past HTTP (`handed`). The framing of a request is made anew: hyper reads one message
//! and writes one message, so no ambiguity of lengths travels on (RFC 9112 §11.2).

use std::sync::Arc;

use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use serde::Serialize;

use crate::answer::{Answer, Memory};
use crate::codes::Code;
use crate::handed::{close_after, let_go, pour, Ticket};
use crate::http::{Caller, Underway};
use crate::limits::Limits;
use crate::pool::{AppPool, Lease};
use crate::upload::{Kept, Upload, UploadError};

const CONNECTION: HeaderName = HeaderName::from_static("x-sealcast-connection");
const BODY: HeaderName = HeaderName::from_static("x-sealcast-body");
const SECRET: HeaderName = HeaderName::from_static("x-sealcast-secret");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Headers that concern one hop only, RFC 9110 §7.6.1, beside those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Of our requests that have a body: it waits until the application wants it.
const ASK_FIRST: HeaderValue = HeaderValue::from_static("100-continue");

/// How often a request is tried again that an ageing connection did not take.
const ATTEMPTS: usize = 3;

/// The way to the application.
pub(crate) struct Proxy {
    pub(crate) pool: Arc<AppPool>,
    secret: HeaderValue,
    memory: Memory,
}

/// Two connections that have left HTTP behind.
pub(crate) struct Tunnel {
    pub(crate) client: OnUpgrade,
    pub(crate) app: OnUpgrade,
    pub(crate) lease: Lease,
}

impl Proxy {
    pub(crate) fn new(pool: Arc<AppPool>, mut secret: HeaderValue, limits: &Limits) -> Self {
        secret.set_sensitive(true);
        Self {
            pool,
            secret,
            memory: Memory::new(limits),
        }
    }

    /// Answers one request.
    pub(crate) async fn forward(
        &self,
        caller: &Arc<Caller>,
        underway: Underway,
        mut request: Request<Incoming>,
    ) -> Response<Answer> {
        let client = hyper::upgrade::on(&mut request);
        let (mut head, body) = request.into_parts();
        let upgrade = asks_for_websocket(&head);
        let version = head.version;
        if let Err(reason) = self.rewrite(caller, &mut head, upgrade) {
            return caller.refuse(Code::BadRequest, reason);
        }
        let body = Upload::new(body, &caller.door, &caller.shared.limits);
        let kept = body.kept();
        let ticket = kept.is_some().then(|| Ticket::draw(&caller.shared));
        let mut request = Request::from_parts(head, body);
        if let (Some(kept), Some(ticket)) = (&kept, &ticket) {
            keep_until_asked(&mut request, kept, ticket);
        }
        let (response, mut lease) = match self.exchange(caller, request).await {
            Ok(answered) => answered,
            // Counted where it happened.
            Err((Code::BodyStalled, detail)) => return too_slow(version, &detail),
            Err((code, detail)) => return caller.refuse(code, &detail),
        };
        let unread = kept.and_then(|kept| kept.take_back());
        lease.without_body = unread.is_some();
        if let Some(ticket) = ticket.filter(|ticket| names(&response, ticket)) {
            drop((response, lease));
            let handed = match unread {
                Some(body) => pour(caller, underway, ticket, body, version).await,
                None => None,
            };
            return handed.unwrap_or_else(|| {
                caller.refuse(Code::AppBadAnswer, "it took no body that waits")
            });
        }
        let mut response = self.take_answer(caller, underway, client, upgrade, response, lease);
        if let Some(body) = unread {
            if version == Version::HTTP_2 {
                // Once a client has read the head, curl among them, it ends its body short of the
                // length that it announced. That is an error of the stream (RFC 9113 §8.1.1), and
                // words that leave later do not arrive any more.
                response.body_mut().begun().await;
            }
            let_go(body, version, &caller.shared.limits);
            close_after(version, &mut response);
        }
        response
    }

    /// Makes the head of a client's request the head of ours.
    fn rewrite(
        &self,
        caller: &Caller,
        head: &mut request::Parts,
        upgrade: bool,
    ) -> Result<(), &'static str> {
        // TRACE would echo the secret (RFC 9110 §9.3.8); CONNECT has no meaning here.
        if head.method == Method::CONNECT || head.method == Method::TRACE {
            return Err("this method is not forwarded");
        }
        let host = host(head)?;
        strip_hop_by_hop(&mut head.headers);
        strip_claims(&mut head.headers);
        if head.version == Version::HTTP_2 {
            join_cookies(&mut head.headers);
        }
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = path
            .parse::<Uri>()
            .map_err(|_| "the request's target is not a path")?;
        head.version = Version::HTTP_11;

        let headers = &mut head.headers;
        // Our own framing: from the body itself, never from what the client claimed.
        headers.remove(header::CONTENT_LENGTH);
        // Answered here, when the reading of the body begins (RFC 9110 §10.1.1).
        headers.remove(header::EXPECT);
        headers.insert(FORWARDED_HOST, host.clone());
        headers.insert(header::HOST, host);
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
        headers.insert(FORWARDED_FOR, caller.address.clone());
        headers.insert(CONNECTION, caller.connection.clone());
        headers.insert(SECRET, self.secret.clone());
        if upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        Ok(())
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// A pooled connection may have been closed while the request was on its way. A request that
    /// was never written goes to a fresh one, whatever it is; one that may have been read goes
    /// again only if doing it twice is the same as doing it once (RFC 9110 §9.2.2) and it has no
    /// body that is already gone.
    async fn exchange(
        &self,
        caller: &Caller,
        mut request: Request<Upload>,
    ) -> Result<(Response<Incoming>, Lease), (Code, String)> {
        let limit = caller.shared.limits.app_answer;
        let again = request.body().is_end_stream() && request.method().is_idempotent();
        for attempt in 1..=ATTEMPTS {
            let mut lease = self.pool.lease(&caller.guest, attempt > 1).await?;
            let copy = (again && lease.reused).then(|| copy_head(&request));
            // An upload lasts as long as it lasts; the clock runs while the application holds it up.
            let turn = request.body().app_turn();
            let outcome = tokio::select! {
                biased;
                outcome = lease.sender().try_send_request(request) => outcome,
                () = turn.overdue(limit) => {
                    return Err((Code::AppTimeout, format!("no answer within {limit:?}")));
                }
            };
            match outcome {
                Ok(response) => return Ok((response, lease)),
                Err(mut error) => match error.take_message().or(copy) {
                    Some(unsent) if attempt < ATTEMPTS => request = unsent,
                    _ => {
                        let error = error.into_error();
                        return Err(judge(&error));
                    }
                },
            }
        }
        unreachable!("the last attempt returns")
    }

    fn take_answer(
        &self,
        caller: &Caller,
        underway: Underway,
        client: OnUpgrade,
        upgrade: bool,
        mut response: Response<Incoming>,
        lease: Lease,
    ) -> Response<Answer> {
        let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if switching && !(upgrade && names_websocket(response.headers())) {
            return caller.refuse(
                Code::AppBadAnswer,
                "it changed to a protocol that nobody asked for",
            );
        }
        let app = switching.then(|| hyper::upgrade::on(&mut response));
        let (head, body) = response.into_parts();
        let mut answer = Response::new(());
        *answer.status_mut() = head.status;
        *answer.headers_mut() = head.headers;
        strip_hop_by_hop(answer.headers_mut());
        answer.headers_mut().remove(BODY);
        match app {
            Some(app) => {
                let headers = answer.headers_mut();
                headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                caller.leave_http(Tunnel { client, app, lease });
                answer.map(|()| Answer::Front(None))
            }
            None => {
                let limits = &caller.shared.limits;
                let give_up = caller.answer_stalled();
                answer.map(|()| Answer::carry(body, lease, underway, &self.memory, limits, give_up))
            }
        }
    }
}

/// The application gets the head, and a ticket for the body, which flows once it says 100.
fn keep_until_asked(request: &mut Request<Upload>, kept: &Arc<Kept>, ticket: &Ticket) {
    request.headers_mut().insert(BODY, ticket.header());
    request.headers_mut().insert(header::EXPECT, ASK_FIRST);
    let kept = Arc::clone(kept);
    hyper::ext::on_informational(request, move |told| {
        if told.status() == StatusCode::CONTINUE {
            kept.flow();
        }
    });
}

/// Whether the application answers that it took the body.
fn names(response: &Response<Incoming>, ticket: &Ticket) -> bool {
    response.headers().get(BODY) == Some(&ticket.header())
}

/// Whose fault it is that an exchange with the application broke.
fn judge(error: &hyper::Error) -> (Code, String) {
    let code = if error.is_user() {
        // "User" is who gave the body: the client.
        let upload =
            std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<UploadError>());
        return match upload {
            Some(stalled @ UploadError::Stalled(_)) => (Code::BodyStalled, stalled.to_string()),
            _ => (
                Code::BadRequest,
                "its body broke off or is malformed".to_owned(),
            ),
        };
    } else if error.is_parse() {
        Code::AppBadAnswer
    } else {
        Code::AppUnavailable
    };
    (code, error.to_string())
}

/// Only WebSocket is tunnelled. Any other upgrade is left out, as a recipient may (RFC 9110 §7.8):
/// `h2c` in particular would give the client a connection to the application on which nobody takes
/// its forged headers off.
fn asks_for_websocket(head: &request::Parts) -> bool {
    head.version == Version::HTTP_11
        && head.method == Method::GET
        && tokens(&head.headers, &header::CONNECTION)
            .any(|token| token.eq_ignore_ascii_case("upgrade"))
        && names_websocket(&head.headers)
}

fn names_websocket(headers: &HeaderMap) -> bool {
    let mut protocols = tokens(headers, &header::UPGRADE);
    protocols
        .next()
        .is_some_and(|token| token.eq_ignore_ascii_case("websocket"))
        && protocols.next().is_none()
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

/// The host that the request is for: the target's (h2, or h1 in absolute form), else the one `Host`
/// header.
fn host(head: &request::Parts) -> Result<HeaderValue, &'static str> {
    if let Some(authority) = head.uri.authority() {
        if authority.as_str().contains('@') {
            return Err("the request's target carries user information");
        }
        return HeaderValue::from_str(authority.as_str())
            .map_err(|_| "the request's host is not text");
    }
    // RFC 9112 §3.2: none, or more than one, is answered with 400.
    let mut hosts = head.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => Ok(host.clone()),
        (None, _) => Err("the request has no Host header"),
        (Some(_), Some(_)) => Err("the request has more than one Host header"),
    }
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = tokens(headers, &header::CONNECTION)
        .filter_map(|token| token.parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Takes off what only the front may say. An underscore counts as a hyphen: some frameworks read
/// both as one.
fn strip_claims(headers: &mut HeaderMap) {
    let claims: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let name = name.as_str().replace('_', "-");
            name.starts_with("x-sealcast-")
                || name.starts_with("x-forwarded-")
                || name == "forwarded"
                || name == "x-real-ip"
        })
        .cloned()
        .collect();
    for name in claims {
        headers.remove(name);
    }
}

/// h2 may split cookies over several fields; h1 wants one (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<&[u8]> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if cookies.len() > 1 {
        if let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..])) {
            headers.insert(header::COOKIE, joined);
        }
    }
}

fn copy_head(request: &Request<Upload>) -> Request<Upload> {
    let mut copy = Request::new(Upload::Empty);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// RFC 9457.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: String,
    code: &'static str,
}

/// The answer to a client from which the rest of its body may still come: nothing more can be read
/// from an h1 connection then (RFC 9110 §15.5.9). Over h2 only the stream ends.
fn too_slow(version: Version, detail: &str) -> Response<Answer> {
    let mut response = problem(Code::BodyStalled, detail);
    close_after(version, &mut response);
    response
}

/// The answer to a request that did not reach the application, or whose answer did not come back.
pub(crate) fn problem(code: Code, detail: &str) -> Response<Answer> {
    let status = match code {
        Code::BadRequest => StatusCode::BAD_REQUEST,
        Code::BodyStalled => StatusCode::REQUEST_TIMEOUT,
        Code::AppBusy => StatusCode::SERVICE_UNAVAILABLE,
        Code::AppTimeout => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    };
    let advice = match code {
        Code::BadRequest => "Correct the request.",
        Code::BodyStalled => "Send the request again, and its body without long pauses.",
        Code::AppBusy | Code::AppUnavailable => {
            "Try again in a moment; if it stays so, look at the node's log."
        }
        _ => "Look at the node's log.",
    };
    // What the operating system said about the private socket stays inside.
    let because = if matches!(code, Code::BadRequest | Code::BodyStalled) {
        format!(" ({detail})")
    } else {
        String::new()
    };
    let body = Problem {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail: format!("{}{because} {advice}", code.sentence()),
        code: code.code(),
    };
    let body = serde_json::to_vec(&body).expect("a problem is plain strings and numbers");
    let mut response = Response::new(Answer::Front(Some(body.into())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if matches!(code, Code::AppBusy | Code::AppUnavailable) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(rows: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in rows {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn headers_that_connection_names_are_taken_off_with_it() {
        let mut all = headers(&[
            ("connection", "close, X-Hop"),
            ("connection", "keep-alive"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("accept", "*/*"),
        ]);
        strip_hop_by_hop(&mut all);
        assert_eq!(all, headers(&[("accept", "*/*")]));
    }

    #[test]
    fn claims_are_taken_off_in_every_spelling() {
        let mut all = headers(&[
            ("x-sealcast-connection", "1"),
            ("x_sealcast_secret", "00"),
            ("x-sealcast-anything", "1"),
            ("x-forwarded-for", "192.0.2.1"),
            ("forwarded", "for=192.0.2.1"),
            ("x-real-ip", "192.0.2.1"),
            ("x-sealcasting", "stays"),
        ]);
        strip_claims(&mut all);
        assert_eq!(all, headers(&[("x-sealcasting", "stays")]));
    }

    #[test]
    fn split_cookies_become_one_field() {
        let mut all = headers(&[("cookie", "a=1"), ("cookie", "b=2")]);
        join_cookies(&mut all);
        assert_eq!(all, headers(&[("cookie", "a=1; b=2")]));
    }

    #[test]
    fn a_request_with_two_hosts_has_none() {
        let (mut head, ()) = Request::new(()).into_parts();
        assert!(host(&head).is_err());
        head.headers = headers(&[("host", "a.example")]);
        assert_eq!(host(&head), Ok(HeaderValue::from_static("a.example")));
        head.headers = headers(&[("host", "a.example"), ("host", "b.example")]);
        assert!(host(&head).is_err());
    }
}
