//! The route guide's client: calls one method of each of the four kinds.
//!
//! `route-guide-client [ADDRESS]` (default: localhost:50052)

use std::error::Error;

use farcall_examples::{
    places::{self, point},
    routeguide::{Feature, Point, Rectangle, RouteNote, route_guide_client::RouteGuideClient},
};

fn describe(feature: &Feature) -> String {
    let Point { latitude, longitude, .. } = &*feature.location;
    match feature.name.as_str() {
        "" => format!("nothing known at {latitude}, {longitude}"),
        name => format!("{name} at {latitude}, {longitude}"),
    }
}

async fn get_features(client: &RouteGuideClient) -> Result<(), Box<dyn Error>> {
    for point in [point(571_210_000, 81_930_000), point(0, 0)] {
        println!("{}", describe(client.get_feature(point).await?.get_ref()));
    }
    Ok(())
}

async fn list_features(client: &RouteGuideClient) -> Result<(), Box<dyn Error>> {
    let area = Rectangle {
        lo: point(571_400_000, 82_000_000).into(),
        hi: point(571_600_000, 84_000_000).into(),
        ..Default::default()
    };
    let mut features = client.list_features(area).await?.into_inner();
    while let Some(feature) = features.message().await? {
        println!("{}", describe(&feature));
    }
    Ok(())
}

async fn record_route(client: &RouteGuideClient) -> Result<(), Box<dyn Error>> {
    let walk = places::read()?.into_iter().map(|feature| feature.location.into_option().unwrap_or_default());
    let summary = client.record_route(tokio_stream::iter(walk)).await?.into_inner();
    println!("passed {} points, {} of them known", summary.point_count, summary.feature_count);
    println!("walked {} metres in {} seconds", summary.distance, summary.elapsed_time);
    Ok(())
}

async fn route_chat(client: &RouteGuideClient) -> Result<(), Box<dyn Error>> {
    let notes = [("first", 0, 0), ("second", 0, 1), ("third", 1, 0), ("fourth", 0, 0), ("fifth", 0, 0)];
    let say = notes.map(|(message, latitude, longitude)| {
        println!("say {message} at {latitude}, {longitude}");
        RouteNote { location: point(latitude, longitude).into(), message: message.to_owned(), ..Default::default() }
    });
    let mut heard = client.route_chat(tokio_stream::iter(say)).await?.into_inner();
    while let Some(note) = heard.message().await? {
        println!("hear {} at {}, {}", note.message, note.location.latitude, note.location.longitude);
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = RouteGuideClient::connect(farcall_examples::address("localhost:50052")).await?;
    println!("-------------- GetFeature --------------");
    get_features(&client).await?;
    println!("-------------- ListFeatures --------------");
    list_features(&client).await?;
    println!("-------------- RecordRoute --------------");
    record_route(&client).await?;
    println!("-------------- RouteChat --------------");
    route_chat(&client).await
}
