//! [`Tariff`]: what a kilowatt hour costs at each half hour of a local day. Knows no plan and no guidance.

use jiff::civil::DateTime;
use quorate_core::contract::{ModuleError, Reading};
use serde_json::{Map, Value};

/// The topic that tariffs come from.
pub(crate) const PRICE: &str = "SCHEDULE-CAR-PRICE";

/// Half hours of a day.
const HALF_HOURS: usize = 48;
/// Beyond this a price per kWh is a mistake, in either direction.
const MOST: f64 = 100.0;

/// Whose bill is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fees {
    /// `…ElectricFee`: what the energy itself costs, which is what the station pays for it.
    Energy,
    /// `…ElectricFee` and `…ServerFee`: what a customer pays.
    EnergyAndService,
}

/// The same prices every day.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tariff {
    half_hours: [f64; HALF_HOURS],
}

impl Tariff {
    /// Reads `feeNo1` to `feeNo48` ("00" sharp, "01" peak, "02" flat, "03" ebb, "04" other) and the prices of the codes
    /// that occur, `sharpElectricFee` and so on. Prices of codes that do not occur may be absent.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] for a half hour without a known code, or a code without a price within ±100.
    pub(crate) fn parse(reading: &Reading, fees: Fees) -> Result<Self, ModuleError> {
        let fields: Map<String, Value> = reading.parse()?;
        let mut half_hours = [0.0; HALF_HOURS];
        for (place, price) in (1..).zip(&mut half_hours) {
            let field = format!("feeNo{place}");
            let kind = match fields.get(&field) {
                Some(Value::String(code)) => kind(code).ok_or_else(|| unknown(&field, code))?,
                Some(_) => return Err(ModuleError::rejected(format!("{field} is no text"))),
                None => return Err(ModuleError::rejected(format!("{field} is absent"))),
            };
            let fee = |of: &str| fee(&fields, &format!("{kind}{of}"), &field);
            *price = match fees {
                Fees::Energy => fee("ElectricFee")?,
                Fees::EnergyAndService => fee("ElectricFee")? + fee("ServerFee")?,
            };
        }
        Ok(Self { half_hours })
    }

    /// The mean price per kWh over the hour that begins at `time`.
    pub(crate) fn over_hour(&self, time: DateTime) -> f64 {
        let minute = usize::from(time.hour().unsigned_abs()) * 60 + usize::from(time.minute().unsigned_abs());
        let price = |ahead: usize| self.half_hours[(minute / 30 + ahead) % HALF_HOURS];
        match minute % 30 {
            0 => f64::midpoint(price(0), price(1)),
            into => {
                let (first, last) = ((30 - into) as f64 / 60.0, into as f64 / 60.0);
                price(0) * first + price(1) / 2.0 + price(2) * last
            }
        }
    }
}

fn kind(code: &str) -> Option<&'static str> {
    match code {
        "00" => Some("sharp"),
        "01" => Some("peak"),
        "02" => Some("flat"),
        "03" => Some("ebb"),
        "04" => Some("other"),
        _ => None,
    }
}

fn unknown(field: &str, code: &str) -> ModuleError {
    ModuleError::rejected(format!("{field} is {code:.20?}, not a code from 00 to 04"))
}

fn fee(fields: &Map<String, Value>, name: &str, asked_by: &str) -> Result<f64, ModuleError> {
    match fields.get(name).and_then(Value::as_f64) {
        Some(price) if price.abs() <= MOST => Ok(price),
        Some(price) => Err(ModuleError::rejected(format!("{name} is {price:e}"))),
        None => Err(ModuleError::rejected(format!("no price {name}, which {asked_by} asks for"))),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::array::from_fn;

    use jiff::civil::date;

    use super::*;

    /// A tariff as it is sent: a code per half hour, and fields with prices.
    pub(crate) fn sent(codes: &[&str], prices: &str) -> String {
        let codes: Vec<String> = (1..).zip(codes).map(|(place, code)| format!(r#""feeNo{place}":"{code}""#)).collect();
        format!("{{{prices},{}}}", codes.join(","))
    }

    fn parse(json: &str, fees: Fees) -> Result<Tariff, ModuleError> {
        Tariff::parse(&Reading::from_json(json.into()), fees)
    }

    /// Ebb before 08:00, flat from 08:00 to 08:30, peak after.
    fn codes() -> [&'static str; 48] {
        from_fn(|half| match half {
            0..16 => "03",
            16 => "02",
            _ => "01",
        })
    }

    const PRICES: &str = r#""ebbElectricFee":0.3,"ebbServerFee":0.2,"flatElectricFee":0.6,"flatServerFee":0.4,"peakElectricFee":1.0,"peakServerFee":0.5"#;

    #[test]
    fn an_hour_costs_the_mean_of_what_it_covers() {
        let tariff = parse(&sent(&codes(), PRICES), Fees::Energy).expect("read");
        let at = |hour, minute| tariff.over_hour(date(2025, 11, 5).at(hour, minute, 0, 0));
        assert_eq!((at(0, 0), at(8, 0), at(9, 0)), (0.3, 0.8, 1.0));
        assert!((at(7, 30) - 0.45).abs() < 1e-12, "half ebb, half flat");
        assert!((at(7, 45) - (0.3 * 0.25 + 0.6 * 0.5 + 1.0 * 0.25)).abs() < 1e-12);
        assert!((at(23, 30) - 0.65).abs() < 1e-12, "the last half hour and the first");
    }

    #[test]
    fn a_customer_pays_for_service_too() {
        let tariff = parse(&sent(&codes(), PRICES), Fees::EnergyAndService).expect("read");
        assert_eq!(tariff.over_hour(date(2025, 11, 5).at(0, 0, 0, 0)), 0.5);
    }

    #[test]
    fn a_half_hour_without_a_usable_price_is_rejected_by_its_name() {
        let unknown: [&str; 48] = from_fn(|half| if half == 6 { "07" } else { "03" });
        let cases = [
            (sent(&codes()[..47], PRICES), "feeNo48 is absent"),
            (sent(&unknown, PRICES), "feeNo7 is \"07\""),
            (sent(&["04"; 48], PRICES), "no price otherElectricFee, which feeNo1 asks for"),
            (sent(&["03"; 48], r#""ebbElectricFee":null"#), "no price ebbElectricFee"),
            (sent(&["03"; 48], r#""ebbElectricFee":1e308"#), "ebbElectricFee is 1e308"),
            (sent(&[], r#""feeNo1":3"#).replace(",}", "}"), "feeNo1 is no text"),
            ("[]".to_owned(), "another shape"),
        ];
        for (json, wrong) in cases {
            let error = parse(&json, Fees::Energy).expect_err(&json);
            assert!(matches!(&error, ModuleError::Rejected(detail) if detail.contains(wrong)), "{error}");
        }
    }

    #[test]
    fn prices_of_codes_that_do_not_occur_are_not_asked_for() {
        assert!(parse(&sent(&["03"; 48], r#""ebbElectricFee":0.3"#), Fees::Energy).is_ok());
    }
}
