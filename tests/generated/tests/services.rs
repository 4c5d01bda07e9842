//! A generated client calls a generated server: one method of each kind.

use std::iter;
use std::pin::Pin;

use farcall::{Channel, Request, Response, Server, Status, Streaming};
use farcall_generated::custom::kinds as custom;
use farcall_generated::proto::sample::kinds::Number;
use farcall_generated::proto::sample::kinds::kinds_client::KindsClient;
use farcall_generated::proto::sample::kinds::kinds_server::{Kinds, KindsServer};
use tokio_stream::{Stream, StreamExt};

struct Counting;

type Numbers = Pin<Box<dyn Stream<Item = Result<Number, Status>> + Send>>;

fn number(value: i64) -> Number {
    Number { value, ..Default::default() }
}

impl Kinds for Counting {
    type DownStream = Numbers;
    type SumsStream = Numbers;

    async fn one(&self, request: Request<Number>) -> Result<Response<Number>, Status> {
        Ok(Response::new(number(request.get_ref().value * 2)))
    }

    async fn down(&self, request: Request<Number>) -> Result<Response<Numbers>, Status> {
        let first = request.get_ref().value;
        let numbers = iter::successors(Some(first), |last| (*last > 1).then(|| last - 1));
        Ok(Response::new(Box::pin(tokio_stream::iter(numbers.map(|value| Ok(number(value)))))))
    }

    async fn sum(&self, request: Request<Streaming<Number>>) -> Result<Response<Number>, Status> {
        let mut numbers = request.into_inner();
        let mut sum = 0;
        while let Some(next) = numbers.message().await? {
            sum += next.value;
        }
        Ok(Response::new(number(sum)))
    }

    async fn sums(&self, request: Request<Streaming<Number>>) -> Result<Response<Numbers>, Status> {
        let mut sum = 0;
        let sums = request.into_inner().map(move |next| {
            sum += next?.value;
            Ok(number(sum))
        });
        Ok(Response::new(Box::pin(sums)))
    }

    async fn nothing(
        &self,
        _: Request<buffa_types::google::protobuf::Empty>,
    ) -> Result<Response<buffa_types::google::protobuf::Empty>, Status> {
        Err(Status::unimplemented("nothing to say"))
    }
}

async fn client() -> Result<KindsClient, Box<dyn std::error::Error>> {
    let bound = Server::builder().add_service(KindsServer::new(Counting)).bind("127.0.0.1:0").await?;
    let port = bound.local_addr().ok_or("no port")?.port();
    tokio::spawn(bound.serve_with_shutdown(std::future::pending()));
    Ok(KindsClient::new(Channel::builder(format!("127.0.0.1:{port}")).connect_lazy()?))
}

async fn all(mut stream: Streaming<Number>) -> Result<Vec<i64>, Status> {
    let mut values = Vec::new();
    while let Some(next) = stream.message().await? {
        values.push(next.value);
    }
    Ok(values)
}

#[tokio::test]
async fn each_kind_of_method() -> Result<(), Box<dyn std::error::Error>> {
    let client = client().await?;
    let several = || tokio_stream::iter([1, 2, 3].map(number));
    assert_eq!(client.one(number(21)).await?.get_ref().value, 42);
    assert_eq!(all(client.down(number(3)).await?.into_inner()).await?, [3, 2, 1]);
    assert_eq!(client.sum(several()).await?.get_ref().value, 6);
    assert_eq!(all(client.sums(several()).await?.into_inner()).await?, [1, 3, 6]);
    let status = client.nothing(buffa_types::google::protobuf::Empty::default()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (farcall::Code::Unimplemented, "nothing to say"));
    Ok(())
}

/// Leaves most of what there is to implement to the bodies of the trait.
#[derive(PartialEq)]
struct Doubling;

impl custom::kinds_server::Kinds for Doubling {
    async fn one(&self, request: Request<custom::Number>) -> Result<Response<custom::Number>, Status> {
        Ok(Response::new(custom::Number { value: request.get_ref().value * 2, ..Default::default() }))
    }

    async fn down(
        &self,
        request: Request<custom::Number>,
    ) -> Result<Response<farcall::codegen::BoxStream<custom::Number>>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }
}

#[tokio::test]
async fn methods_that_are_left_out_answer_unimplemented() -> Result<(), Box<dyn std::error::Error>> {
    let server = custom::kinds_server::KindsServer::new(Doubling);
    assert!(server == server.clone(), "an attribute of the server's");
    let bound = Server::builder().add_service(server).bind("127.0.0.1:0").await?;
    let port = bound.local_addr().ok_or("no port")?.port();
    tokio::spawn(bound.serve_with_shutdown(std::future::pending()));
    let channel = Channel::builder(format!("127.0.0.1:{port}")).connect_lazy()?;
    let client = custom::kinds_client::KindsClient::new(channel);
    let two = || custom::Number { value: 2, ..Default::default() };
    assert_eq!(client.one(two()).await?.get_ref().value, 4);
    let mut down = client.down(two()).await?.into_inner();
    assert_eq!(down.message().await?.map(|number| number.value), Some(2));
    let sum = client.sum(tokio_stream::iter([two()])).await.unwrap_err();
    assert_eq!(
        (sum.code(), sum.message()),
        (farcall::Code::Unimplemented, "Method not implemented: /sample.kinds.Kinds/Sum")
    );
    let status = match client.sums(tokio_stream::iter([two()])).await {
        Ok(response) => response.into_inner().message().await.unwrap_err(),
        Err(status) => status,
    };
    assert_eq!(status.code(), farcall::Code::Unimplemented);
    Ok(())
}
