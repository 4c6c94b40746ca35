//! Who asks: by session cookie or by basic auth; and the routes that begin and end a session.

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, COOKIE, HOST, HeaderValue, ORIGIN, SET_COOKIE, UPGRADE};
use http::{Extensions, HeaderMap, Method, StatusCode};
use resources::Principal;
use serde::Deserialize;
use serde_json::{Value, json};
use service::Peer;

use crate::error::{ApiError, blocking};
use crate::sessions::COOKIE as SESSION_COOKIE;
use crate::state::Gateway;
use crate::users::Role;

/// The header that only a page of our own origin can send with a request.
const REQUEST_HEADER: &str = "x-watchbell-request";

/// Who asks, as an extension of each authenticated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) role: Role,
    pub(crate) by: By,
}

/// How it is known who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The token of the session's cookie.
    Session(String),
    Basic,
    Anonymous,
}

impl Login {
    /// Refuses who may not do what needs `role`.
    pub(crate) fn require(&self, role: Role) -> Result<(), ApiError> {
        if self.role >= role {
            return Ok(());
        }
        let message = format!("Permission denied: role {} is needed", role.as_str());
        Err(ApiError::new(StatusCode::FORBIDDEN, message))
    }

    pub(crate) fn principal(&self) -> Principal {
        match self.by {
            By::Anonymous => Principal::Anonymous,
            By::Session(_) | By::Basic => Principal::User(self.user.as_str().into()),
        }
    }
}

/// Lets through who is logged in, with a [`Login`] extension.
pub(crate) async fn authenticate(
    State(gateway): State<Gateway>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let login = who(&gateway, request.headers(), request.extensions()).await?;
    let login = login.ok_or_else(|| ApiError::new(StatusCode::UNAUTHORIZED, "not logged in"))?;
    if matches!(login.by, By::Session(_)) {
        refuse_forged(request.method(), request.headers())?;
    }
    request.extensions_mut().insert(login.principal());
    request.extensions_mut().insert(login);
    Ok(next.run(request).await)
}

/// A cookie comes with requests of other sites' pages too: what changes anything needs a header that they cannot send, and a
/// websocket has to come from our own page.
fn refuse_forged(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if !reads && !headers.contains_key(REQUEST_HEADER) {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "the header X-Watchbell-Request: 1 is missing"));
    }
    if headers.contains_key(UPGRADE)
        && let Some(origin) = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok())
    {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
        let own = origin.split_once("://").is_some_and(|(_, origin_host)| origin_host == host);
        if !own {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "a websocket of another site's page is refused",
            ));
        }
    }
    Ok(())
}

/// Who sends these headers, if they are known.
async fn who(
    gateway: &Gateway,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Option<Login>, ApiError> {
    if let Some(token) = session_token(headers)
        && let Some((user, save_seen)) = gateway.sessions.user(&token)
    {
        let (users, sessions) = (gateway.users.clone(), gateway.sessions.clone());
        let name = user.clone();
        let saved_token = token.clone();
        let role = blocking(move || {
            if save_seen {
                sessions.save_seen(&saved_token)?;
            }
            users.role(&name)
        })
        .await?;
        if let Some(role) = role {
            return Ok(Some(Login { user, role, by: By::Session(token) }));
        }
    }
    if let Some((user, password)) = service::basic_credentials(headers)
        && !user.is_empty()
    {
        let role = check_password(gateway, &user, password, extensions).await?;
        return Ok(role.map(|role| Login { user, role, by: By::Basic }));
    }
    let anonymous = gateway.options.anonymous;
    Ok(anonymous.map(|role| Login { user: "anonymous".to_owned(), role, by: By::Anonymous }))
}

/// Checks a password, unless too many were wrong of late.
async fn check_password(
    gateway: &Gateway,
    user: &str,
    password: String,
    extensions: &Extensions,
) -> Result<Option<Role>, ApiError> {
    let address = extensions.get::<Peer>().map_or([0, 0, 0, 0].into(), |peer| peer.0.ip());
    // Taken before the failures are looked at: what waits here sees those of the ones before it.
    let _permit = gateway.hashing.acquire().await.ok();
    let now = gateway.clock.monotonic();
    if let Some(wait) = gateway.attempts.wait(user, address, now) {
        let seconds = wait.as_secs().max(1);
        let message = format!("too many failed logins: try again in {seconds} s");
        let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, message);
        return Err(ApiError { retry_after_seconds: Some(seconds), ..error });
    }
    let (users, name) = (gateway.users.clone(), user.to_owned());
    let role = blocking(move || users.check(&name, &password)).await?;
    match role {
        Some(_) => gateway.attempts.succeeded(user, address),
        None => {
            gateway.attempts.failed(user, address, now);
            tracing::warn!(user, peer = %address, "login failed");
        }
    }
    Ok(role)
}

fn session_token(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';'));
    pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == SESSION_COOKIE && !value.is_empty()).then(|| value.to_owned())
    })
}

/// `GET /api/session`
pub(crate) async fn session(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Response, ApiError> {
    let login = match who(&gateway, &headers, &extensions).await {
        Ok(login) => login,
        Err(error) if error.status == StatusCode::TOO_MANY_REQUESTS => None,
        Err(error) => return Err(error),
    };
    let Some(login) = login else {
        let body = json!({
            "message": "not logged in",
            "now_ms": gateway.clock.now_ms(),
            "version": env!("CARGO_PKG_VERSION"),
        });
        return Ok((StatusCode::UNAUTHORIZED, Json(body)).into_response());
    };
    let body = describe(&gateway, &login).await?;
    Ok(([(CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(body)).into_response())
}

async fn describe(gateway: &Gateway, login: &Login) -> Result<Value, ApiError> {
    let (users, name) = (gateway.users.clone(), login.user.clone());
    let initial = blocking(move || users.has_initial_password(&name)).await?;
    Ok(json!({
        "user": login.user,
        "role": login.role.as_str(),
        "version": env!("CARGO_PKG_VERSION"),
        "now_ms": gateway.clock.now_ms(),
        "initial_password": initial,
        "org": "Main",
    }))
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    user: String,
    password: String,
}

/// `POST /api/login`
pub(crate) async fn login(
    State(gateway): State<Gateway>,
    extensions: Extensions,
    Json(credentials): Json<Credentials>,
) -> Result<Response, ApiError> {
    let Credentials { user, password } = credentials;
    let role = check_password(&gateway, &user, password, &extensions).await?;
    let wrong = || ApiError::new(StatusCode::UNAUTHORIZED, "Invalid username or password");
    let role = role.ok_or_else(wrong)?;
    let (sessions, name) = (gateway.sessions.clone(), user.clone());
    let token = blocking(move || sessions.begin(&name)).await?;
    let cookie = cookie(&gateway, &token, "");
    let body = describe(&gateway, &Login { user, role, by: By::Session(token) }).await?;
    Ok(([(SET_COOKIE, cookie)], Json(body)).into_response())
}

/// `POST /api/logout`
pub(crate) async fn logout(State(gateway): State<Gateway>, headers: HeaderMap) -> Result<Response, ApiError> {
    refuse_forged(&Method::POST, &headers)?;
    if let Some(token) = session_token(&headers) {
        let sessions = gateway.sessions.clone();
        blocking(move || sessions.end(&token)).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie(&gateway, "", "; Max-Age=0"))]).into_response())
}

#[derive(Deserialize)]
pub(crate) struct PasswordChange {
    old: String,
    new: String,
}

/// `POST /api/user/password`
pub(crate) async fn change_password(
    State(gateway): State<Gateway>,
    extensions: Extensions,
    Json(change): Json<PasswordChange>,
) -> Result<StatusCode, ApiError> {
    let login = login_of(&extensions)?;
    if login.by == By::Anonymous {
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "not logged in"));
    }
    let PasswordChange { old, new } = change;
    let wrong = || ApiError::new(StatusCode::UNAUTHORIZED, "the old password is wrong");
    check_password(&gateway, &login.user, old, &extensions).await?.ok_or_else(wrong)?;
    let (users, sessions) = (gateway.users.clone(), gateway.sessions.clone());
    blocking(move || {
        users.change_password(&login.user, &new)?;
        let keep = match &login.by {
            By::Session(token) => Some(token.as_str()),
            By::Basic | By::Anonymous => None,
        };
        sessions.end_all(&login.user, keep)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The login of an authenticated request.
pub(crate) fn login_of(extensions: &Extensions) -> Result<Login, ApiError> {
    let login = extensions.get::<Login>().cloned();
    login.ok_or_else(|| ApiError::new(StatusCode::UNAUTHORIZED, "not logged in"))
}

fn cookie(gateway: &Gateway, token: &str, extra: &str) -> HeaderValue {
    let path = format!("{}/", gateway.options.prefix());
    let secure = if gateway.options.secure() { "; Secure" } else { "" };
    let text = format!("{SESSION_COOKIE}={token}; Path={path}; HttpOnly; SameSite=Lax{secure}{extra}");
    // Tokens are base64 and the path comes from a URL: nothing in them is refused.
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
