//! The thirteen source topics by name, and the outer shape of their messages. Knows no fields.

/// A source topic of the station fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Bare list of station parameters, sent on change.
    StationParam,
    /// Hourly power per gun, list `realTimeData`.
    Realtime,
    /// Days of a year with holidays and weekends, for every station.
    Calendar,
    /// Grid meter of a station.
    Meter,
    /// States of all guns of a station.
    Gun,
    /// State of one charging order.
    CarOrder,
    /// Tariffs, list `fee`.
    CarPrice,
    /// Faults of a station.
    DeviceError,
    /// Direct-current modules of a host.
    HostDcdc,
    /// Alternating-current side of a host.
    HostAcdc,
    /// One storage unit.
    Storage,
    /// Photovoltaic forecast, list `photovoltaicMessage`.
    Pv,
    /// Weather, list `weather`.
    Weather,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::StationParam,
        Self::Realtime,
        Self::Calendar,
        Self::Meter,
        Self::Gun,
        Self::CarOrder,
        Self::CarPrice,
        Self::DeviceError,
        Self::HostDcdc,
        Self::HostAcdc,
        Self::Storage,
        Self::Pv,
        Self::Weather,
    ];

    /// The topic's name in Kafka.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StationParam => "SCHEDULE-STATION-PARAM",
            Self::Realtime => "SCHEDULE-STATION-REALTIME-DATA",
            Self::Calendar => "SCHEDULE-ENVIRONMENT-CALENDAR",
            Self::Meter => "SCHEDULE-DEVICE-METER",
            Self::Gun => "SCHEDULE-DEVICE-GUN",
            Self::CarOrder => "SCHEDULE-CAR-ORDER",
            Self::CarPrice => "SCHEDULE-CAR-PRICE",
            Self::DeviceError => "SCHEDULE-DEVICE-ERROR",
            Self::HostDcdc => "SCHEDULE-DEVICE-HOST-DCDC",
            Self::HostAcdc => "SCHEDULE-DEVICE-HOST-ACDC",
            Self::Storage => "SCHEDULE-DEVICE-STORAGE",
            Self::Pv => "SCHEDULE-DEVICE-PV",
            Self::Weather => "SCHEDULE-ENVIRONMENT-WEATHER",
        }
    }

    /// What stands around the elements of a message that holds many; none where the message is one object.
    pub(super) fn brackets(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::StationParam => Some(("[", "]")),
            Self::Realtime => Some((r#"{"realTimeData":["#, "]}")),
            Self::CarPrice => Some((r#"{"fee":["#, "]}")),
            Self::Pv => Some((r#"{"photovoltaicMessage":["#, "]}")),
            Self::Weather => Some((r#"{"weather":["#, "]}")),
            _ => None,
        }
    }
}
