//! Seeded randomness without state: a draw depends on the seed, its purpose, its subject and a moment, never on what was
//! drawn before. So the fleet says the same however its time is cut into ticks. Uses no function of the platform's
//! mathematics library, so the bytes are the same everywhere.

/// Odd integer nearest to 2^64 divided by the golden ratio: the increment of SplitMix64 (Steele, Lea and Flood, "Fast
/// splittable pseudorandom number generators", OOPSLA 2014).
const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of SplitMix64: David Stafford's variant 13 of the 64-bit MurmurHash3 mixer.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// What a draw decides. Draws of different purposes are independent of each other.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(super) enum Purpose {
    Site = 1,
    Phase,
    DayLoad,
    HourLoad,
    Gap,
    GunHour,
    Row,
    Session,
    Gun,
    Storage,
    Meter,
    Price,
    Weather,
    Change,
    Fault,
    Damage,
    Repeat,
}

/// The root of all draws of one fleet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed(pub(super) u64);

impl Seed {
    /// The draws for one purpose, subject (a station, a gun, a sender) and moment (in any unit the purpose likes).
    pub(super) fn draw(self, purpose: Purpose, subject: u64, at: i64) -> Draw {
        let parts = [purpose as u64, subject, at.cast_unsigned()];
        Draw(parts.iter().fold(self.0, |state, part| mix(state.wrapping_add(GOLDEN_GAMMA) ^ mix(*part))))
    }
}

/// One sequence of draws: SplitMix64 from the state it was made with.
#[derive(Clone, Debug)]
pub(super) struct Draw(u64);

impl Draw {
    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN_GAMMA);
        mix(self.0)
    }

    /// Uniform in `0.0..1.0`.
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `low..high`.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..bound`; 0 when `bound` is 0. The bias of the remainder is below 2^-32 for the bounds used here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.bits().checked_rem(bound).unwrap_or(0)
    }

    /// One of `choices`, which are not empty.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// True with probability `share`.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// Bell-shaped with mean 0 and variance 1, never beyond ±3.47: four uniform draws added up.
    pub(super) fn bell(&mut self) -> f64 {
        let sum: f64 = (0..4).map(|_| self.unit()).sum();
        (sum - 2.0) * 3f64.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_the_published_sequence() {
        let mut draw = Draw(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| draw.bits()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn a_draw_depends_on_every_part_of_its_place() {
        let base = Seed(1).draw(Purpose::Site, 2, 3).bits();
        assert_eq!(base, Seed(1).draw(Purpose::Site, 2, 3).bits());
        assert_ne!(base, Seed(2).draw(Purpose::Site, 2, 3).bits());
        assert_ne!(base, Seed(1).draw(Purpose::Phase, 2, 3).bits());
        assert_ne!(base, Seed(1).draw(Purpose::Site, 3, 2).bits());
    }

    #[test]
    fn bell_draws_have_mean_zero_and_variance_one() {
        let mut draw = Seed(7).draw(Purpose::Site, 0, 0);
        let drawn: Vec<f64> = (0..20_000).map(|_| draw.bell()).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let variance = drawn.iter().map(|x| x * x).sum::<f64>() / drawn.len() as f64;
        assert!(mean.abs() < 0.03, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.05, "variance {variance}");
    }
}
