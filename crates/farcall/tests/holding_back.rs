//! What many large messages do to each other: they wait, and none fails. With default bounds, which each program passes
//! at least twice, and with small ones.

use std::{sync::Arc, time::Duration};

use crate::common::{Iter, Running, serve_with};
use bytes::Bytes;
use farcall::{Channel, Limits, Request, Response, Server, Status, Streaming, codec, server::Call};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};

const MEBI: usize = 1 << 20;

/// Lengths of a call's messages, most of them after the first, the largest far larger than a window at first.
const MIXED: [usize; 6] = [100, 3 * MEBI, 0, 200_000, MEBI, 130_000];
const ALL: usize = 3 * MEBI + 200_000 + MEBI + 100 + 130_000;
const UNDER_THE_LIMIT: usize = 4 * MEBI - 100;

/// Bounds so small that a few calls are twice as much.
fn tight(limits: &mut Limits) {
    (limits.unread, limits.incomplete, limits.unsent) = (8 * MEBI, 2 * MEBI, 8 * MEBI);
    limits.stream_window = MEBI as u32;
}

fn messages() -> Iter<impl Iterator<Item = Bytes>> {
    Iter(MIXED.into_iter().map(|len| Bytes::from(vec![0; len])))
}

async fn lengths(requests: &mut Streaming<Bytes>) -> Result<usize, Status> {
    let mut sum = 0;
    while let Some(request) = requests.message().await? {
        sum += request.len();
    }
    Ok(sum)
}

fn number(number: usize) -> Response<Bytes> {
    Response::new(Bytes::from(number.to_string()))
}

/// Of the calls that count, two run at once; those that hold go on when the gate is opened.
fn handler(turns: Arc<Semaphore>, gate: watch::Receiver<bool>) -> impl Fn(Call) + Send + Sync + 'static {
    move |call| {
        let (turns, mut gate) = (Arc::clone(&turns), gate.clone());
        match call.method() {
            "Count" => call.client_streaming(codec::Bytes, |requests: Request<Streaming<Bytes>>| async move {
                let _turn = turns.acquire().await.unwrap();
                Ok::<_, Status>(number(lengths(&mut requests.into_inner()).await?))
            }),
            "Hold" => call.client_streaming(codec::Bytes, |requests: Request<Streaming<Bytes>>| async move {
                let mut requests = requests.into_inner();
                let first = requests.message().await?.unwrap().len();
                gate.wait_for(|open| *open).await.unwrap();
                Ok::<_, Status>(number(first + lengths(&mut requests).await?))
            }),
            "Many" => call.server_streaming(codec::Bytes, |_: Request<Bytes>| async move {
                Ok::<_, Status>(Response::new(Iter(messages().0.map(Ok::<_, Status>))))
            }),
            "Give" => call.unary(codec::Bytes, |_: Request<Bytes>| async move {
                Ok::<_, Status>(Response::new(Bytes::from(vec![0; UNDER_THE_LIMIT])))
            }),
            _ => call.unary(codec::Bytes, |request: Request<Bytes>| async move {
                Ok::<_, Status>(number(request.get_ref().len()))
            }),
        }
    }
}

struct World {
    _server: Running,
    channel: Channel,
    gate: watch::Sender<bool>,
}

impl World {
    async fn new(change: fn(&mut Limits)) -> World {
        let (gate, opened) = watch::channel(false);
        let handler = handler(Arc::new(Semaphore::new(2)), opened);
        let server = serve_with(Server::builder().limits(change), "127.0.0.1:0", handler).await;
        let channel = Channel::builder(format!("http://{}", server.address)).limits(change).connect_lazy().unwrap();
        World { _server: server, channel, gate }
    }

    /// So many calls at once; each must end with this.
    async fn uploads(&self, path: &'static str, count: usize, meanwhile: impl Future<Output = ()>) {
        let mut calls = JoinSet::new();
        for _ in 0..count {
            let channel = self.channel.clone();
            calls.spawn(async move { channel.client_streaming(path, codec::Bytes, Request::new(messages())).await });
        }
        meanwhile.await;
        for answer in calls.join_all().await {
            assert_eq!(answer.unwrap().into_inner(), ALL.to_string());
        }
    }

    async fn unary(&self, path: &'static str, len: usize) -> Bytes {
        let request = Request::new(Bytes::from(vec![0; len]));
        self.channel.unary(path, codec::Bytes, request).await.unwrap().into_inner()
    }

    async fn download(&self) -> Streaming<Bytes> {
        let request = Request::new(Bytes::new());
        let call = self.channel.server_streaming("/test.Service/Many", codec::Bytes, request);
        call.await.unwrap().into_inner()
    }

    async fn uploads_that_wait_for_their_turn(&self, scale: usize) {
        self.uploads("/test.Service/Count", 10 * scale, async {}).await;
    }

    async fn handlers_that_pause(&self, scale: usize) {
        let meanwhile = async {
            assert_eq!(self.unary("/test.Service/Length", 3 * MEBI).await, (3 * MEBI).to_string());
            self.uploads("/test.Service/Count", 1, async {}).await;
            self.gate.send(true).unwrap();
        };
        self.uploads("/test.Service/Hold", 10 * scale, meanwhile).await;
    }

    async fn clients_that_pause(&self, scale: usize) {
        let mut paused = Vec::new();
        for _ in 0..10 * scale {
            let mut responses = self.download().await;
            assert_eq!(responses.message().await.unwrap().unwrap().len(), MIXED[0]);
            paused.push(responses);
        }
        assert_eq!(self.unary("/test.Service/Give", 0).await.len(), UNDER_THE_LIMIT);
        assert_eq!(lengths(&mut self.download().await).await.unwrap(), ALL);
        for mut responses in paused {
            assert_eq!(MIXED[0] + lengths(&mut responses).await.unwrap(), ALL);
        }
    }

    async fn messages_just_under_the_limit(&self, scale: usize) {
        for (path, len) in [("/test.Service/Length", UNDER_THE_LIMIT), ("/test.Service/Give", 0)] {
            let mut calls = JoinSet::new();
            let request = Bytes::from(vec![0; len]);
            for _ in 0..16 * scale {
                let (channel, request) = (self.channel.clone(), Request::new(request.clone()));
                calls.spawn(async move { channel.unary(path, codec::Bytes, request).await });
            }
            let expected = if len == 0 { UNDER_THE_LIMIT } else { len.to_string().len() };
            for answer in calls.join_all().await {
                assert_eq!(answer.unwrap().into_inner().len(), expected);
            }
        }
    }
}

macro_rules! programs {
    ($($name:ident)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test]
            async fn within_default_bounds() {
                run(|_| (), 9).await;
            }

            #[tokio::test]
            async fn within_small_bounds() {
                run(tight, 1).await;
            }

            async fn run(change: fn(&mut Limits), scale: usize) {
                let world = World::new(change).await;
                tokio::time::timeout(Duration::from_secs(100), world.$name(scale)).await.expect("it hangs");
            }
        }
    )*};
}

programs! { uploads_that_wait_for_their_turn handlers_that_pause clients_that_pause messages_just_under_the_limit }
