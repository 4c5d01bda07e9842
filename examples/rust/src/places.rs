//! The places of the route guide, and what can be said about them.

use std::error::Error;

use crate::routeguide::{Feature, Point, Rectangle};

const EARTH_RADIUS_METRES: f64 = 6_371_000.0;
const UNITS_PER_DEGREE: f64 = 10_000_000.0;

/// The places that every server of the route guide knows, whatever it is written in.
///
/// # Errors
/// The file that is compiled in is not what it should be.
pub fn read() -> Result<Vec<Feature>, Box<dyn Error>> {
    let text = include_str!("../../python/route_guide/route_guide_db.json");
    let items: Vec<serde_json::Value> = serde_json::from_str(text)?;
    items.iter().map(|item| feature(item).ok_or_else(|| format!("not a place: {item}").into())).collect()
}

fn feature(item: &serde_json::Value) -> Option<Feature> {
    let degrees = |name: &str| i32::try_from(item["location"][name].as_i64()?).ok();
    let location = point(degrees("latitude")?, degrees("longitude")?);
    Some(Feature { name: item["name"].as_str()?.to_owned(), location: location.into(), ..Default::default() })
}

/// A point, in degrees times ten million.
pub fn point(latitude: i32, longitude: i32) -> Point {
    Point { latitude, longitude, ..Default::default() }
}

/// Whether a point lies in a rectangle, edges included.
pub fn is_inside(point: &Point, area: &Rectangle) -> bool {
    let between = |value: i32, a: i32, b: i32| (a.min(b)..=a.max(b)).contains(&value);
    between(point.longitude, area.lo.longitude, area.hi.longitude)
        && between(point.latitude, area.lo.latitude, area.hi.latitude)
}

/// The length in metres of the great circle from one point to the other (haversine).
pub fn distance(start: &Point, end: &Point) -> f64 {
    let radians = |units: i32| (f64::from(units) / UNITS_PER_DEGREE).to_radians();
    let (lat1, lat2) = (radians(start.latitude), radians(end.latitude));
    let (dlat, dlon) = (lat2 - lat1, radians(end.longitude) - radians(start.longitude));
    let a = (dlat / 2.0).sin().powi(2) + lat1.cos() * lat2.cos() * (dlon / 2.0).sin().powi(2);
    2.0 * EARTH_RADIUS_METRES * a.sqrt().asin()
}
