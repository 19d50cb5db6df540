//! Points in time as they are shown: in the zone of who asks, which `TZ` names, else the machine's, as Docker's
//! tools do. Times in front of the lines of a log, and those in the objects of lists, are UTC and end with `Z`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The zone of who asks; UTC where nothing says which it is.
pub(crate) fn zone() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

/// `2026-03-01 13:00:00 +0100 CET`: when something was made.
pub(crate) fn made(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

/// `2026-03-01 13:00:00.500000`: when something happened, for people.
pub(crate) fn happened(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}

/// `2026-03-01T13:00:00.500000000+01:00`: RFC 3339 with all nine digits, and `Z` where the zone is UTC.
pub(crate) fn instant(time: Timestamp, zone: &TimeZone) -> String {
    let zoned = time.to_zoned(zone.clone());
    match zoned.offset().is_zero() {
        true => utc(time),
        false => zoned.strftime("%Y-%m-%dT%H:%M:%S.%9f%:z").to_string(),
    }
}

/// `13:00`: when a process was started.
pub(crate) fn clock(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%H:%M").to_string()
}

/// `2026-03-01T12:00:00.500000000Z`: RFC 3339 with all nine digits, as it stands in front of a log's line.
pub(crate) fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_zone() {
        let time: Timestamp = "2026-03-01T12:00:00.5Z".parse().unwrap();
        let east = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(made(time, &east), "2026-03-01 13:00:00 +0100 CET");
        assert_eq!(happened(time, &east), "2026-03-01 13:00:00.500000");
        assert_eq!(instant(time, &east), "2026-03-01T13:00:00.500000000+01:00");
        assert_eq!(clock(time, &east), "13:00");
        let summer: Timestamp = "2026-07-01T12:00:00Z".parse().unwrap();
        assert_eq!(made(summer, &east), "2026-07-01 14:00:00 +0200 CEST");
        assert_eq!(made(time, &TimeZone::UTC), "2026-03-01 12:00:00 +0000 UTC");
        assert_eq!(instant(time, &TimeZone::UTC), "2026-03-01T12:00:00.500000000Z");
        assert_eq!(utc(time), "2026-03-01T12:00:00.500000000Z");
    }
}
