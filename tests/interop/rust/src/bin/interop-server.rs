//! The interop service on the Rust face. See `tests/interop/proto/interop.proto`.

use std::{collections::HashSet, future::pending, sync::Arc, time::Instant};

use async_stream::try_stream;
use farcall::{Code, Metadata, Request, Response, Server, Status, Streaming, codec::Prost, server};
use farcall_interop::{Reply, SERVICE, State, WatchReply, WatchRequest};
use tokio::sync::watch;
use tokio_stream::Stream;

type Asked = farcall_interop::Request;

/// Which tagged calls have blocked, and which of those have ended.
struct Watched(watch::Sender<HashSet<(String, State)>>);

impl Watched {
    fn mark(&self, tag: &str, state: State) {
        self.0.send_modify(|seen| {
            seen.insert((tag.to_owned(), state));
        });
    }

    async fn wait(&self, tag: String, state: State) {
        let wanted = (tag, state);
        // It cannot be closed: this is its sender.
        let _ = self.0.subscribe().wait_for(|seen| seen.contains(&wanted)).await;
    }
}

/// Marks the end of a blocked call, which is the end of its handler.
struct Blocked<'a> {
    watched: &'a Watched,
    tag: &'a str,
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.watched.mark(self.tag, State::Ended);
    }
}

/// What a call sends back beside its replies.
#[derive(Clone, Default)]
struct Echoed {
    initial: Metadata,
    trailing: Metadata,
    deadline: Option<Instant>,
}

impl Echoed {
    fn of<T>(request: &Request<T>) -> Result<Echoed, Status> {
        let mut echoed = Echoed { deadline: request.deadline(), ..Echoed::default() };
        for (key, value) in request.metadata().iter() {
            let kept = match key {
                "x-echo-initial" => &mut echoed.initial,
                "x-echo-trailing-bin" => &mut echoed.trailing,
                _ => continue,
            };
            kept.append(key, value).map_err(|error| Status::internal(error.to_string()))?;
        }
        Ok(echoed)
    }

    fn on<T>(self, message: T) -> Response<T> {
        let mut response = Response::new(message);
        *response.metadata_mut() = self.initial;
        *response.trailers_mut() = self.trailing;
        response
    }

    fn reply(&self, request: &Asked) -> Reply {
        let left = self.deadline.filter(|_| request.report_deadline).map(|at| at - Instant::now());
        Reply { payload: request.payload.clone(), time_left_ms: left.map_or(0, |left| left.as_millis() as i64) }
    }
}

/// What a request asks for after its replies.
async fn obey(watched: &Watched, request: &Asked, echoed: &Echoed) -> Result<(), Status> {
    assert!(!request.fail, "the handler was asked to fail");
    if request.block {
        let _blocked = Blocked { watched, tag: &request.tag };
        watched.mark(&request.tag, State::Blocked);
        pending::<()>().await;
    }
    match &request.status {
        Some(status) => {
            let code = u32::try_from(status.code).ok().and_then(Code::from_number).unwrap_or(Code::Unknown);
            Err(Status::with_metadata(code, status.details.clone(), echoed.trailing.clone()))
        }
        None => Ok(()),
    }
}

async fn echo(watched: Arc<Watched>, request: Request<Asked>) -> Result<Response<Reply>, Status> {
    let echoed = Echoed::of(&request)?;
    obey(&watched, request.get_ref(), &echoed).await?;
    let reply = echoed.reply(request.get_ref());
    Ok(echoed.on(reply))
}

type Replies<S> = Result<Response<S>, Status>;

async fn server_stream(
    watched: Arc<Watched>,
    request: Request<Asked>,
) -> Replies<impl Stream<Item = Result<Reply, Status>>> {
    let echoed = Echoed::of(&request)?;
    let request = request.into_inner();
    let told = echoed.clone();
    let replies = try_stream! {
        for _ in 0..request.replies {
            yield told.reply(&request);
        }
        obey(&watched, &request, &told).await?;
    };
    Ok(echoed.on(replies))
}

async fn client_stream(watched: Arc<Watched>, request: Request<Streaming<Asked>>) -> Result<Response<Reply>, Status> {
    let echoed = Echoed::of(&request)?;
    let mut requests = request.into_inner();
    let mut joined = Reply::default();
    while let Some(request) = requests.message().await? {
        obey(&watched, &request, &echoed).await?;
        let reply = echoed.reply(&request);
        joined.payload.extend(reply.payload);
        joined.time_left_ms = reply.time_left_ms;
    }
    Ok(echoed.on(joined))
}

async fn bidi(
    watched: Arc<Watched>,
    request: Request<Streaming<Asked>>,
) -> Replies<impl Stream<Item = Result<Reply, Status>>> {
    let echoed = Echoed::of(&request)?;
    let mut requests = request.into_inner();
    let told = echoed.clone();
    let replies = try_stream! {
        while let Some(request) = requests.message().await? {
            for _ in 0..request.replies {
                yield told.reply(&request);
            }
            obey(&watched, &request, &told).await?;
        }
    };
    Ok(echoed.on(replies))
}

async fn watch_call(watched: Arc<Watched>, request: Request<WatchRequest>) -> Result<Response<WatchReply>, Status> {
    let WatchRequest { tag, state } = request.into_inner();
    let state = State::try_from(state).map_err(|_| Status::invalid_argument("no such state"))?;
    watched.wait(tag, state).await;
    Ok(Response::new(WatchReply {}))
}

struct Interop(Arc<Watched>);

impl server::Service for Interop {
    fn name(&self) -> &'static str {
        SERVICE
    }

    fn call(&self, call: server::Call) {
        let watched = Arc::clone(&self.0);
        match call.method() {
            "Echo" => call.unary(Prost, |request| echo(watched, request)),
            "ServerStream" => call.server_streaming(Prost, |request| server_stream(watched, request)),
            "ClientStream" => call.client_streaming(Prost, |request| client_stream(watched, request)),
            "Bidi" => call.streaming(Prost, |request| bidi(watched, request)),
            "Watch" => call.unary(Prost, |request| watch_call(watched, request)),
            _ => call.unimplemented(),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).ok_or("an argument: ADDRESS")?;
    let interop = Interop(Arc::new(Watched(watch::Sender::new(HashSet::new()))));
    let server = Server::builder().add_service(interop).bind(address).await?;
    println!("LISTENING {}", server.local_addr().ok_or("the address has no port")?.port());
    server.serve().await;
    Ok(())
}
