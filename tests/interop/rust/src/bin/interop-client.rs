//! Performs interop cases with the Rust face: cases as JSON lines on standard input, outcomes on standard output. The
//! form of both is said in `tests/interop/cases.py`.

use std::{
    collections::{BTreeMap, VecDeque},
    error::Error,
    future::Future,
    pin::pin,
    time::Duration,
};

use farcall::{
    Channel, Metadata, Request, Response, Status, Streaming,
    codec::Prost,
    tls::{ClientTls, Roots},
};
use farcall_interop::{Reply, SERVICE, State, WatchReply, WatchRequest};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

type Asked = farcall_interop::Request;

/// How long a call may take that should end by itself.
const PAUSE_LIMIT: Duration = Duration::from_secs(10);

#[derive(Clone, Deserialize)]
struct Case {
    name: String,
    kind: String,
    target: Option<String>,
    #[serde(default)]
    requests: Vec<Spec>,
    #[serde(default)]
    metadata: Vec<(String, String)>,
    timeout: Option<f64>,
    at_once: Option<usize>,
    #[serde(default)]
    ping_pong: bool,
    #[serde(default)]
    hold: bool,
    #[serde(default)]
    cancel: bool,
    #[serde(default)]
    watch_end: bool,
}

/// A request of a case.
#[derive(Clone, Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Spec {
    payload: String,
    size: Option<usize>,
    replies: i32,
    status: Option<(i32, String)>,
    block: bool,
    fail: bool,
    report_deadline: bool,
    tag: String,
}

impl From<Spec> for Asked {
    fn from(spec: Spec) -> Asked {
        let payload = match spec.size {
            Some(size) => (0..251u8).cycle().take(size).collect(),
            None => spec.payload.into_bytes(),
        };
        Asked {
            payload,
            replies: spec.replies,
            status: spec.status.map(|(code, details)| farcall_interop::Status { code, details }),
            block: spec.block,
            fail: spec.fail,
            report_deadline: spec.report_deadline,
            tag: spec.tag,
        }
    }
}

#[derive(Clone, Default, PartialEq, Serialize)]
struct Outcome {
    replies: Vec<String>,
    code: String,
    details: String,
    initial: Vec<(String, String)>,
    trailing: Vec<(String, String)>,
    #[serde(flatten)]
    more: BTreeMap<&'static str, serde_json::Value>,
}

impl Outcome {
    fn reply(&mut self, reply: &Reply) {
        let payload = &reply.payload;
        self.replies.push(if payload.len() <= 64 {
            String::from_utf8_lossy(payload).into_owned()
        } else {
            format!("{} bytes, crc32 {:08x}", payload.len(), crc32fast::hash(payload))
        });
        if reply.time_left_ms != 0 {
            self.more.insert("time_left_ms", reply.time_left_ms.into());
        }
    }

    fn ok(&mut self, trailers: &Metadata) {
        "OK".clone_into(&mut self.code);
        self.trailing = described(trailers);
    }

    fn failed(&mut self, status: &Status) {
        status.code().name().clone_into(&mut self.code);
        self.details = status.message().to_owned();
        self.trailing = described(status.metadata());
    }

    fn cancelled(&mut self) {
        "CANCELLED".clone_into(&mut self.code);
    }
}

/// Our own keys only; the transport's are the peer's business.
fn described(metadata: &Metadata) -> Vec<(String, String)> {
    metadata
        .iter()
        .filter(|(key, _)| key.starts_with("x-"))
        .map(|(key, value)| {
            let text = if Metadata::is_binary(key) {
                value.iter().map(|byte| format!("{byte:02x}")).collect()
            } else {
                String::from_utf8_lossy(value).into_owned()
            };
            (key.to_owned(), text)
        })
        .collect()
}

fn path(method: &str) -> String {
    format!("/{SERVICE}/{method}")
}

fn request<T>(case: &Case, message: T) -> Result<Request<T>, Box<dyn Error + Send + Sync>> {
    let mut request = Request::new(message);
    request.set_timeout(case.timeout.map_or(PAUSE_LIMIT, Duration::from_secs_f64));
    for (key, value) in &case.metadata {
        let value = if Metadata::is_binary(key) { unhex(value)? } else { value.clone().into_bytes() };
        request.metadata_mut().append(key, value)?;
    }
    Ok(request)
}

fn unhex(text: &str) -> Result<Vec<u8>, std::num::ParseIntError> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16)).collect()
}

/// Waits until the server says that the call of this tag is in this state.
async fn watch(channel: &Channel, tag: &str, state: State) -> Result<(), Status> {
    let mut request = Request::new(WatchRequest { tag: tag.to_owned(), state: state.into() });
    request.set_timeout(PAUSE_LIMIT);
    let _: Response<WatchReply> = channel.unary(path("Watch"), Prost, request).await?;
    Ok(())
}

/// The result of the call; `None` when it was dropped because the case cancels it.
async fn unless_cancelled<T>(
    channel: &Channel,
    case: &Case,
    tag: &str,
    call: impl Future<Output = T>,
) -> Result<Option<T>, Status> {
    let mut call = pin!(call);
    tokio::select! {
        result = &mut call => Ok(Some(result)),
        blocked = watch(channel, tag, State::Blocked), if case.cancel => blocked.map(|()| None),
    }
}

/// Requests on their way: all at once, or each when the reply to the last has come; held open if the case wants it.
struct Feed {
    waiting: VecDeque<Asked>,
    sender: Option<mpsc::UnboundedSender<Asked>>,
    hold: bool,
}

impl Feed {
    fn new(case: &Case, requests: Vec<Asked>) -> (Feed, UnboundedReceiverStream<Asked>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut feed = Feed { waiting: requests.into(), sender: Some(sender), hold: case.hold };
        for _ in 0..(if case.ping_pong { 1 } else { feed.waiting.len() }) {
            feed.send_next();
        }
        feed.close_when_done();
        (feed, UnboundedReceiverStream::new(receiver))
    }

    fn send_next(&mut self) {
        if let (Some(sender), Some(request)) = (&self.sender, self.waiting.pop_front()) {
            // The call may have ended; then nobody reads.
            let _ = sender.send(request);
        }
    }

    fn close_when_done(&mut self) {
        if self.waiting.is_empty() && !self.hold {
            self.sender = None;
        }
    }

    fn reply_came(&mut self) {
        self.send_next();
        self.close_when_done();
    }
}

fn note_single(outcome: &mut Outcome, result: Option<Result<Response<Reply>, Status>>) {
    match result {
        None => outcome.cancelled(),
        Some(Err(status)) => outcome.failed(&status),
        Some(Ok(response)) => {
            outcome.reply(response.get_ref());
            outcome.initial = described(response.metadata());
            outcome.ok(response.trailers());
        }
    }
}

async fn note_stream(
    outcome: &mut Outcome,
    channel: &Channel,
    case: &Case,
    tag: &str,
    mut feed: Option<Feed>,
    result: Result<Response<Streaming<Reply>>, Status>,
) -> Result<(), Status> {
    let response = match result {
        Ok(response) => response,
        Err(status) => {
            outcome.failed(&status);
            return Ok(());
        }
    };
    let mut replies = response.into_inner();
    outcome.initial = described(replies.initial_metadata().await);
    loop {
        match replies.message().await {
            Ok(Some(reply)) => outcome.reply(&reply),
            Ok(None) => {
                outcome.ok(&replies.trailers().await?.unwrap_or_default());
                return Ok(());
            }
            Err(status) => {
                outcome.failed(&status);
                return Ok(());
            }
        }
        if let Some(feed) = &mut feed {
            feed.reply_came();
        }
        if case.cancel {
            watch(channel, tag, State::Blocked).await?;
            outcome.cancelled();
            return Ok(());
        }
    }
}

async fn perform(channel: Channel, case: Case) -> Result<Outcome, Box<dyn Error + Send + Sync>> {
    let mut requests: Vec<Asked> = case.requests.iter().cloned().map(Asked::from).collect();
    let tag = requests.last().map(|request| request.tag.clone()).unwrap_or_default();
    let mut outcome = Outcome::default();
    match case.kind.as_str() {
        kind @ ("unary" | "missing") => {
            let method = if kind == "unary" { "Echo" } else { "Missing" };
            let call = channel.unary(path(method), Prost, request(&case, requests.remove(0))?);
            note_single(&mut outcome, unless_cancelled(&channel, &case, &tag, call).await?);
        }
        "client_stream" => {
            let (_feed, stream) = Feed::new(&case, requests);
            let call = channel.client_streaming(path("ClientStream"), Prost, request(&case, stream)?);
            note_single(&mut outcome, unless_cancelled(&channel, &case, &tag, call).await?);
        }
        "server_stream" => {
            let call = channel.server_streaming(path("ServerStream"), Prost, request(&case, requests.remove(0))?);
            let result = call.await;
            note_stream(&mut outcome, &channel, &case, &tag, None, result).await?;
        }
        "bidi" => {
            let (feed, stream) = Feed::new(&case, requests);
            let result = channel.streaming(path("Bidi"), Prost, request(&case, stream)?).await;
            note_stream(&mut outcome, &channel, &case, &tag, Some(feed), result).await?;
        }
        other => return Err(format!("no such kind of call: {other}").into()),
    }
    if case.watch_end {
        watch(&channel, &tag, State::Ended).await?;
        outcome.more.insert("server_saw_end", true.into());
    }
    Ok(outcome)
}

async fn perform_many(channel: &Channel, case: &Case, count: usize) -> Result<Outcome, Box<dyn Error + Send + Sync>> {
    let calls: Vec<_> = (0..count).map(|_| tokio::spawn(perform(channel.clone(), case.clone()))).collect();
    let mut outcomes = Vec::new();
    for call in calls {
        outcomes.push(call.await??);
    }
    let alike = outcomes.iter().all(|outcome| *outcome == outcomes[0]);
    let mut outcome = outcomes.swap_remove(0);
    outcome.more.insert("all_alike", alike.into());
    Ok(outcome)
}

/// A channel as INTEROP_TLS has it: the folder of the roots, or none for plain text.
fn open_channel(target: &str) -> Result<Channel, Box<dyn Error + Send + Sync>> {
    let Some(folder) = std::env::var_os("INTEROP_TLS") else { return Ok(Channel::new(target)?) };
    let roots = std::fs::read(std::path::Path::new(&folder).join("roots.pem"))?;
    let tls = ClientTls::new(Roots::from_pem(&roots)?);
    Ok(Channel::builder(target).tls(tls)?.connect_lazy()?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let address = std::env::args().nth(1).ok_or("an argument: ADDRESS")?;
    let channel = open_channel(&address)?;
    for line in std::io::stdin().lines() {
        let line = line?;
        let case: Case = serde_json::from_str(&line)?;
        let channel = case.target.as_deref().map_or_else(|| Ok(channel.clone()), open_channel)?;
        let performed = match case.at_once {
            Some(count) => perform_many(&channel, &case, count).await,
            None => perform(channel, case.clone()).await,
        };
        // The other cases shall have their outcomes all the same.
        let mut outcome = performed.unwrap_or_else(|error| Outcome {
            code: "FAILED".to_owned(),
            details: error.to_string(),
            ..Outcome::default()
        });
        outcome.more.insert("name", case.name.into());
        println!("{}", serde_json::to_string(&outcome)?);
    }
    Ok(())
}
