//! Places on the earth: latitude first, polygons by even-odd rule, circles by great circle, everything across the
//! antimeridian.

use serde::{Deserialize, Serialize};

/// Mean radius of the earth, in kilometres.
const EARTH_KM: f64 = 6371.0088;

/// Most points in one document.
pub const POINTS: usize = 200_000;

/// A point in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Latitude, north positive.
    pub lat: f64,
    /// Longitude, east positive.
    pub lon: f64,
}

/// Reads `lat,lon`.
pub fn point(text: &str) -> Option<Point> {
    let (lat, lon) = text.trim().split_once(',')?;
    valid(lat.trim().parse().ok()?, lon.trim().parse().ok()?)
}

/// A point on the earth, or nothing.
pub fn valid(lat: f64, lon: f64) -> Option<Point> {
    (lat.abs() <= 90.0 && lon.abs() <= 360.0).then_some(Point { lat, lon })
}

/// The distance between two points, in kilometres.
pub fn distance_km(a: Point, b: Point) -> f64 {
    let (lat_a, lat_b) = (a.lat.to_radians(), b.lat.to_radians());
    let half_lat = ((lat_b - lat_a) / 2.0).sin();
    let half_lon = ((b.lon - a.lon).to_radians() / 2.0).sin();
    let h = half_lat * half_lat + lat_a.cos() * lat_b.cos() * half_lon * half_lon;
    2.0 * EARTH_KM * h.min(1.0).sqrt().asin()
}

/// Why a polygon or circle cannot be used, or what had to be mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// Nothing in it.
    #[error("is empty and is left out")]
    Empty,
    /// A pair that is not `lat,lon` on the earth.
    #[error("holds a pair that is no latitude and longitude; the shape is left out")]
    BadPair,
    /// Fewer than three different corners.
    #[error("has fewer than three corners and is left out")]
    TooFew,
    /// The last point is not the first.
    #[error("is not closed; the first point is taken as the last")]
    Open,
    /// Three pairs, closed: the form asks for four.
    #[error("has fewer than four points")]
    Short,
    /// Not `lat,lon radius`.
    #[error("is not `latitude,longitude radius`; the shape is left out")]
    BadCircle,
}

/// A closed line of at least three corners. The points hold the closing one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Polygon {
    points: Vec<Point>,
    low: Point,
    high: Point,
    /// Whether it crosses the antimeridian: western longitudes are then counted from 180 up.
    shifted: bool,
}

impl Polygon {
    /// From its corners. A defect beside a polygon says what was mended.
    pub fn from_points(mut points: Vec<Point>) -> Result<(Polygon, Option<Defect>), Defect> {
        if points.is_empty() {
            return Err(Defect::Empty);
        }
        let mut defect = (points.len() < 4).then_some(Defect::Short);
        if points.first() != points.last() {
            points.push(points[0]);
            defect = Some(Defect::Open);
        }
        if points.len() < 4 {
            return Err(Defect::TooFew);
        }
        let (west, east) = points.iter().fold((f64::MAX, f64::MIN), |(low, high), p| (p.lon.min(low), p.lon.max(high)));
        let shifted = east - west > 180.0;
        if shifted {
            points.iter_mut().for_each(|p| p.lon = shift(p.lon));
        }
        let mut low = points[0];
        let mut high = points[0];
        for p in &points {
            low = Point { lat: low.lat.min(p.lat), lon: low.lon.min(p.lon) };
            high = Point { lat: high.lat.max(p.lat), lon: high.lon.max(p.lon) };
        }
        Ok((Polygon { points, low, high, shifted }, defect))
    }

    /// Reads `lat,lon lat,lon …`; `count` counts points over the whole document.
    pub fn parse(text: &str, count: &mut usize) -> Result<(Polygon, Option<Defect>), Defect> {
        let mut points = Vec::with_capacity(text.len() / 14);
        for pair in text.split_ascii_whitespace() {
            *count += 1;
            if *count > POINTS {
                break;
            }
            points.push(point(pair).ok_or(Defect::BadPair)?);
        }
        Polygon::from_points(points)
    }

    /// Its corners, the closing one included.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The middle of its box.
    pub fn middle(&self) -> Point {
        let lon = f64::midpoint(self.low.lon, self.high.lon);
        Point { lat: f64::midpoint(self.low.lat, self.high.lat), lon: if lon > 180.0 { lon - 360.0 } else { lon } }
    }

    /// The point in the polygon's own count of longitudes.
    fn own(&self, p: Point) -> Point {
        if self.shifted { Point { lat: p.lat, lon: shift(p.lon) } } else { p }
    }

    /// Whether the point is inside or on the edge.
    pub fn contains(&self, p: Point) -> bool {
        let p = self.own(p);
        if p.lat < self.low.lat || p.lat > self.high.lat || p.lon < self.low.lon || p.lon > self.high.lon {
            return false;
        }
        let mut inside = false;
        for edge in self.points.windows(2) {
            let (a, b) = (edge[0], edge[1]);
            if on_edge(a, b, p) {
                return true;
            }
            if (a.lat > p.lat) != (b.lat > p.lat) {
                let crossing = (b.lon - a.lon) * (p.lat - a.lat) / (b.lat - a.lat) + a.lon;
                inside ^= p.lon < crossing;
            }
        }
        inside
    }

    /// Whether the point is inside or within this many kilometres of the edge.
    pub fn within(&self, p: Point, km: f64) -> bool {
        if self.contains(p) {
            return true;
        }
        let p = self.own(p);
        // Far boxes need no look at the edges; a degree of latitude is never less than 110 km.
        let margin = km / 110.0;
        if km <= 0.0 || p.lat < self.low.lat - margin || p.lat > self.high.lat + margin {
            return false;
        }
        self.points.windows(2).any(|edge| to_edge_km(edge[0], edge[1], p) <= km)
    }

    /// Whether the two have a point in common.
    pub fn intersects(&self, other: &Polygon) -> bool {
        if self.points.iter().any(|p| other.contains(*p)) || other.points.iter().any(|p| self.contains(*p)) {
            return true;
        }
        let theirs: Vec<Point> = other.points.iter().map(|p| self.own(*p)).collect();
        self.points.windows(2).any(|a| theirs.windows(2).any(|b| crosses(a[0], a[1], b[0], b[1])))
    }
}

/// A centre and a radius.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Circle {
    /// Its centre.
    pub centre: Point,
    /// Its radius in kilometres.
    pub radius_km: f64,
}

impl Circle {
    /// Reads `lat,lon radius`.
    pub fn parse(text: &str) -> Result<Circle, Defect> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Defect::Empty);
        }
        let (centre, radius) = text.rsplit_once(char::is_whitespace).ok_or(Defect::BadCircle)?;
        let radius_km: f64 = radius.parse().map_err(|_| Defect::BadCircle)?;
        let centre = point(centre).ok_or(Defect::BadCircle)?;
        // No place on the earth is further from another than half its girth.
        if (0.0..=20_040.0).contains(&radius_km) { Ok(Circle { centre, radius_km }) } else { Err(Defect::BadCircle) }
    }

    /// Whether the point is within this many kilometres of the circle. A circle smaller than `least_km` counts as that large.
    pub fn within(&self, p: Point, km: f64, least_km: f64) -> bool {
        distance_km(self.centre, p) <= self.radius_km.max(least_km) + km
    }
}

fn shift(lon: f64) -> f64 {
    if lon < 0.0 { lon + 360.0 } else { lon }
}

/// About a tenth of a metre, in degrees.
const ON_EDGE: f64 = 1e-6;

fn on_edge(a: Point, b: Point, p: Point) -> bool {
    let between =
        |low: f64, high: f64, value: f64| low.min(high) - ON_EDGE <= value && value <= low.max(high) + ON_EDGE;
    if !between(a.lat, b.lat, p.lat) || !between(a.lon, b.lon, p.lon) {
        return false;
    }
    let (dx, dy) = (b.lon - a.lon, b.lat - a.lat);
    let length = dx.hypot(dy);
    let cross = dx * (p.lat - a.lat) - dy * (p.lon - a.lon);
    if length <= f64::EPSILON { true } else { cross.abs() / length <= ON_EDGE }
}

/// The distance from a point to an edge, on a plane laid at the point: right to a fraction of a percent at the distances
/// that a site asks for.
fn to_edge_km(a: Point, b: Point, p: Point) -> f64 {
    let scale = p.lat.to_radians().cos();
    let flat = |q: Point| ((q.lon - p.lon).to_radians() * scale * EARTH_KM, (q.lat - p.lat).to_radians() * EARTH_KM);
    let ((ax, ay), (bx, by)) = (flat(a), flat(b));
    let (dx, dy) = (bx - ax, by - ay);
    let squared = dx * dx + dy * dy;
    let along = if squared > 0.0 { (-(ax * dx + ay * dy) / squared).clamp(0.0, 1.0) } else { 0.0 };
    (ax + along * dx).hypot(ay + along * dy)
}

fn crosses(a: Point, b: Point, c: Point, d: Point) -> bool {
    let side = |p: Point, q: Point, r: Point| (q.lon - p.lon) * (r.lat - p.lat) - (q.lat - p.lat) * (r.lon - p.lon);
    (side(a, b, c) > 0.0) != (side(a, b, d) > 0.0) && (side(c, d, a) > 0.0) != (side(c, d, b) > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polygon(text: &str) -> Polygon {
        Polygon::parse(text, &mut 0).expect("a polygon").0
    }

    fn at(lat: f64, lon: f64) -> Point {
        Point { lat, lon }
    }

    #[test]
    fn inside_edge_and_outside() {
        let square = polygon("30,-100 30,-98 32,-98 32,-100 30,-100");
        assert!(square.contains(at(31.0, -99.0)));
        assert!(square.contains(at(30.0, -99.0)) && square.contains(at(32.0, -100.0)), "an edge counts as inside");
        assert!(!square.contains(at(29.99, -99.0)) && !square.contains(at(31.0, -97.9)));
    }

    #[test]
    fn a_bay_in_the_shape_is_outside() {
        let horseshoe = polygon("0,0 0,6 6,6 6,4 2,4 2,2 6,2 6,0 0,0");
        assert!(!horseshoe.contains(at(4.0, 3.0)));
        assert!(horseshoe.contains(at(4.0, 1.0)) && horseshoe.contains(at(4.0, 5.0)));
    }

    #[test]
    fn the_antimeridian_is_crossed() {
        let fiji = polygon("-20,177 -20,-178 -15,-178 -15,177 -20,177");
        assert!(fiji.contains(at(-17.0, 179.5)) && fiji.contains(at(-17.0, -179.5)));
        assert!(!fiji.contains(at(-17.0, 0.0)) && !fiji.contains(at(-17.0, -170.0)));
        assert!(fiji.within(at(-17.0, -177.9), 20.0));
        let circle = Circle::parse("-17,179.9 50").expect("a circle");
        assert!(circle.within(at(-17.0, -179.9), 0.0, 0.0));
    }

    #[test]
    fn each_defect_is_named_and_a_usable_shape_is_used() {
        let parse = |text: &str| Polygon::parse(text, &mut 0).map(|(polygon, defect)| (polygon.points().len(), defect));
        assert_eq!(parse(""), Err(Defect::Empty));
        assert_eq!(parse(" \n "), Err(Defect::Empty));
        assert_eq!(parse("54.5,-2.9... 55,-2 55,-3 54.5,-2.9"), Err(Defect::BadPair));
        assert_eq!(parse("91,0 0,0 0,1 91,0"), Err(Defect::BadPair));
        assert_eq!(parse("NaN,0 0,0 0,1 NaN,0"), Err(Defect::BadPair));
        assert_eq!(parse("1,1 2,2"), Err(Defect::TooFew));
        assert_eq!(parse("1,1 2,2 1,1"), Err(Defect::TooFew));
        assert_eq!(parse("1,1 2,2 1,2"), Ok((4, Some(Defect::Open))));
        assert_eq!(parse("1,1 2,2 1,2 1,1 "), Ok((4, None)));
    }

    #[test]
    fn circles_measure_along_the_earth() {
        let circle = Circle::parse("32.9525,-115.5527 0").expect("a circle");
        assert!(!circle.within(at(32.96, -115.5527), 0.0, 0.0));
        assert!(circle.within(at(32.96, -115.5527), 0.0, 1.0), "a circle without a radius is given one");
        for bad in ["1,2", "1,2 -3", "1,2 NaN", "1 2 3", "1,2 30000", "x"] {
            assert_eq!(Circle::parse(bad), Err(Defect::BadCircle), "{bad}");
        }
        let london_paris = distance_km(at(51.5074, -0.1278), at(48.8566, 2.3522));
        assert!((london_paris - 343.6).abs() < 1.0, "{london_paris}");
    }

    #[test]
    fn shapes_meet_by_corner_by_enclosure_and_by_edges_alone() {
        let square = polygon("0,0 0,4 4,4 4,0 0,0");
        assert!(square.intersects(&polygon("1,1 1,2 2,2 2,1 1,1")), "enclosed");
        assert!(square.intersects(&polygon("-1,1 5,1 5,2 -1,2 -1,1")), "a bar across, no corner inside either");
        assert!(!square.intersects(&polygon("5,5 5,6 6,6 6,5 5,5")));
    }
}
