//! The route guide's server: one method of each of the four kinds.
//!
//! `route-guide-server [ADDRESS]` (default: localhost:50052; port 0 picks a free one)

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Instant,
};

use farcall::{Request, Response, Server, Status, Streaming};
use farcall_examples::{
    places,
    routeguide::{
        Feature, Point, Rectangle, RouteNote, RouteSummary,
        route_guide_server::{RouteGuide, RouteGuideServer},
    },
};
use tokio::sync::mpsc;
use tokio_stream::{Stream, wrappers::ReceiverStream};

/// What was said, by point.
type Notes = Arc<Mutex<HashMap<(i32, i32), Vec<RouteNote>>>>;

struct Guide {
    features: Arc<[Feature]>,
    notes: Notes,
}

impl Guide {
    fn feature_at(&self, point: &Point) -> Option<&Feature> {
        self.features.iter().find(|feature| *feature.location == *point)
    }
}

impl RouteGuide for Guide {
    async fn get_feature(&self, request: Request<Point>) -> Result<Response<Feature>, Status> {
        let point = request.into_inner();
        let known = self.feature_at(&point).cloned();
        Ok(Response::new(known.unwrap_or_else(|| Feature { location: point.into(), ..Default::default() })))
    }

    type ListFeaturesStream = Pin<Box<dyn Stream<Item = Result<Feature, Status>> + Send>>;

    async fn list_features(&self, request: Request<Rectangle>) -> Result<Response<Self::ListFeaturesStream>, Status> {
        let area = request.into_inner();
        let inside = |feature: &&Feature| !feature.name.is_empty() && places::is_inside(&feature.location, &area);
        let found: Vec<_> = self.features.iter().filter(inside).cloned().map(Ok).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(found))))
    }

    async fn record_route(&self, request: Request<Streaming<Point>>) -> Result<Response<RouteSummary>, Status> {
        let mut points = request.into_inner();
        let mut summary = RouteSummary::default();
        let (mut distance, mut previous) = (0.0, None::<Point>);
        let started = Instant::now();
        while let Some(point) = points.message().await? {
            summary.point_count += 1;
            if self.feature_at(&point).is_some_and(|feature| !feature.name.is_empty()) {
                summary.feature_count += 1;
            }
            distance += previous.map_or(0.0, |previous| places::distance(&previous, &point));
            previous = Some(point);
        }
        summary.distance = distance as i32;
        summary.elapsed_time = started.elapsed().as_secs() as i32;
        Ok(Response::new(summary))
    }

    type RouteChatStream = ReceiverStream<Result<RouteNote, Status>>;

    async fn route_chat(
        &self,
        request: Request<Streaming<RouteNote>>,
    ) -> Result<Response<Self::RouteChatStream>, Status> {
        let (sender, responses) = mpsc::channel(16);
        tokio::spawn(chat(request.into_inner(), Arc::clone(&self.notes), sender));
        Ok(Response::new(ReceiverStream::new(responses)))
    }
}

/// Answers each note with the earlier ones made at its point, until either side has gone.
async fn chat(mut heard: Streaming<RouteNote>, notes: Notes, sender: mpsc::Sender<Result<RouteNote, Status>>) {
    loop {
        let note = match heard.message().await {
            Ok(Some(note)) => note,
            Ok(None) => return,
            Err(status) => {
                let _ = sender.send(Err(status)).await;
                return;
            }
        };
        let earlier = {
            let place = (note.location.latitude, note.location.longitude);
            let Ok(mut notes) = notes.lock() else { return };
            let said = notes.entry(place).or_default();
            let earlier = said.clone();
            said.push(note);
            earlier
        };
        for note in earlier {
            if sender.send(Ok(note)).await.is_err() {
                return;
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let guide = Guide { features: places::read()?.into(), notes: Notes::default() };
    let server = Server::builder().add_service(RouteGuideServer::new(guide));
    farcall_examples::serve(server, farcall_examples::address("localhost:50052")).await
}
