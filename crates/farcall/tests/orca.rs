//! Load reports: in the trailers of all four kinds of calls, and on a stream of their own.

use std::time::Duration;

use bytes::Bytes;
use farcall::{
    Metadata, Request, Response, Server, Status, codec,
    orca::{Load, LoadReport, OpenRca},
    server::Call,
};

use crate::common::{Iter, serve_with, within};

const KEY: &str = "endpoint-load-metrics-bin";

/// Answers each kind of call by its name; a request of "fail" fails.
fn handler(call: Call) {
    fn said(load: &Load, request: &[u8]) -> Result<(), Status> {
        load.update(|report| report.set_request_cost("rows", 20.0));
        if request == b"fail" { Err(Status::internal("it is broken")) } else { Ok(()) }
    }
    match call.method() {
        "Unary" => call.unary(codec::Bytes, |request: Request<Bytes>| async move {
            said(&request.load(), request.get_ref())?;
            Ok(Response::new(Bytes::new()))
        }),
        "ServerStream" => call.server_streaming(codec::Bytes, |request: Request<Bytes>| async move {
            said(&request.load(), b"")?;
            let end = said(&request.load(), request.get_ref());
            Ok(Response::new(Iter([Ok(Bytes::new())].into_iter().chain(end.err().map(Err)))))
        }),
        "ClientStream" => {
            call.client_streaming(codec::Bytes, |request: Request<farcall::Streaming<Bytes>>| async move {
                let load = request.load();
                let mut requests = request.into_inner();
                said(&load, &requests.message().await?.unwrap_or_default())?;
                Ok(Response::new(Bytes::new()))
            })
        }
        _ => call.streaming(codec::Bytes, |request: Request<farcall::Streaming<Bytes>>| async move {
            let load = request.load();
            let mut requests = request.into_inner();
            said(&load, &requests.message().await?.unwrap_or_default())?;
            Ok(Response::new(Iter([Ok(Bytes::new())].into_iter())))
        }),
    }
}

fn server_load() -> Load {
    let load = Load::new();
    load.update(|report| report.set_application_utilization(0.3));
    load
}

/// What the trailers of each call above say.
fn expected() -> Vec<u8> {
    let mut report = LoadReport::new();
    report.set_request_cost("rows", 20.0);
    report.or(&server_load().report()).encode()
}

fn report_of(trailers: &Metadata) -> Option<Vec<u8>> {
    trailers.first(KEY).map(<[u8]>::to_vec)
}

#[tokio::test]
async fn every_kind_of_call_ends_with_a_report_when_it_fails_too() {
    within(async {
        let server = serve_with(Server::builder().report_load(server_load()), "127.0.0.1:0", handler).await;
        let channel = &server.channel;
        for message in ["", "fail"] {
            let requests = || Request::new(Iter([Bytes::from(message)].into_iter()));
            let mut reports = Vec::new();
            let one = Request::new(Bytes::from(message));
            let unary: Result<Response<Bytes>, Status> = channel.unary("/test.Service/Unary", codec::Bytes, one).await;
            let upload = channel.client_streaming("/test.Service/ClientStream", codec::Bytes, requests()).await;
            for answer in [unary, upload] {
                reports.push(match answer {
                    Ok(response) => report_of(response.trailers()),
                    Err(status) => report_of(status.metadata()),
                });
            }
            let one = Request::new(Bytes::from(message));
            let download = channel.server_streaming("/test.Service/ServerStream", codec::Bytes, one).await;
            let both = channel.streaming("/test.Service/Both", codec::Bytes, requests()).await;
            for stream in [download, both] {
                let mut responses: farcall::Streaming<Bytes> = stream.unwrap().into_inner();
                reports.push(loop {
                    match responses.message().await {
                        Ok(Some(_)) => {}
                        Ok(None) => break report_of(&responses.trailers().await.unwrap().unwrap_or_default()),
                        Err(status) => break report_of(status.metadata()),
                    }
                });
            }
            assert_eq!(reports, vec![Some(expected()); 4], "{message:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn without_it_calls_end_as_they_did() {
    within(async {
        let empty = Server::builder().report_load(Load::new());
        for server in [Server::builder(), empty] {
            let server = serve_with(server, "127.0.0.1:0", crate::common::echo).await;
            let request = Request::new(Bytes::new());
            let response: Response<Bytes> =
                server.channel.unary("/test.Service/M", codec::Bytes, request).await.unwrap();
            assert!(response.trailers().is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_gets_reports_by_a_stream_as_often_as_the_server_allows() {
    within(async {
        let load = server_load();
        let service = OpenRca::new(load.clone()).least_interval(Duration::from_millis(5));
        let server = serve_with(Server::builder().add_service(service), "127.0.0.1:0", handler).await;
        let method = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics";
        let ask = async |request: &'static [u8]| {
            let request = Request::new(Bytes::from_static(request));
            let reports: Result<Response<farcall::Streaming<Bytes>>, Status> =
                server.channel.server_streaming(method, codec::Bytes, request).await;
            reports
        };
        let mut reports = ask(b"").await.unwrap().into_inner();
        assert_eq!(reports.message().await.unwrap().unwrap(), load.report().encode());
        load.update(|report| report.set_application_utilization(0.9));
        let changed = load.report().encode();
        while reports.message().await.unwrap().unwrap() != changed {}

        assert_eq!(ask(b"\x0a\x01\xff").await.unwrap_err().code(), farcall::Code::InvalidArgument);
        let other = Request::new(Bytes::new());
        let other: Result<Response<Bytes>, Status> =
            server.channel.unary("/xds.service.orca.v3.OpenRcaService/M", codec::Bytes, other).await;
        assert_eq!(other.unwrap_err().code(), farcall::Code::Unimplemented);
    })
    .await;
}
