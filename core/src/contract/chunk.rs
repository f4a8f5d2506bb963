//! [`Chunk`]: a run of values of one column: its numbers in one piece, and beside them what is no number. Windows fill
//! chunks and share them with the columns that modules see.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::Scalar;

/// Values of one column, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunk {
    /// One number per value; NaN for a gap and for what is no number.
    numbers: Vec<f64>,
    /// What the values are that are no numbers; none while all are numbers or gaps.
    marks: Option<Box<Marks>>,
    /// How many are no gap.
    observed: usize,
}

/// Strings and truth values. A repeated string is kept once.
#[derive(Clone, Debug, Default)]
struct Marks {
    /// One per value: see the constants.
    codes: Vec<u32>,
    /// The strings; the code of the first is [`FIRST_TEXT`].
    texts: Vec<Arc<str>>,
    /// Places in `texts`, by hash.
    by_hash: HashTable<u32>,
}

/// A number or a gap.
const PLAIN: u32 = 0;
const FALSE: u32 = 1;
const TRUE: u32 = 2;
const FIRST_TEXT: u32 = 3;

impl Chunk {
    pub(crate) fn of_numbers(numbers: Vec<f64>) -> Self {
        let observed = numbers.iter().filter(|number| !number.is_nan()).count();
        Self { numbers, marks: None, observed }
    }

    /// The same value `len` times.
    pub(crate) fn of_one(value: Scalar<'_>, len: usize) -> Self {
        let marks = (!is_plain(value)).then(|| {
            let mut marks = Box::<Marks>::default();
            marks.codes = vec![marks.code(value); len];
            marks
        });
        Self { numbers: vec![value.number(); len], marks, observed: if is_gap(value) { 0 } else { len } }
    }

    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// One number per value; NaN for a gap and for what is no number.
    pub(crate) fn numbers(&self) -> &[f64] {
        &self.numbers
    }

    /// Whether all values are numbers or gaps.
    pub(crate) fn is_plain(&self) -> bool {
        self.marks.is_none()
    }

    /// The value at `at`, which is below [`Chunk::len`].
    pub(crate) fn value(&self, at: usize) -> Scalar<'_> {
        let code = self.marks.as_ref().map_or(PLAIN, |marks| marks.codes[at]);
        match (code, &self.marks) {
            (FALSE, _) => Scalar::Bool(false),
            (TRUE, _) => Scalar::Bool(true),
            (FIRST_TEXT.., Some(marks)) => Scalar::Text(&marks.texts[(code - FIRST_TEXT) as usize]),
            _ if self.numbers[at].is_nan() => Scalar::Null,
            _ => Scalar::Number(self.numbers[at]),
        }
    }

    /// How many values of a range are no gaps.
    pub(crate) fn observed_in(&self, range: Range<usize>) -> usize {
        if range == (0..self.len()) {
            return self.observed;
        }
        if self.is_plain() {
            return self.numbers[range].iter().filter(|number| !number.is_nan()).count();
        }
        range.filter(|&at| !is_gap(self.value(at))).count()
    }

    /// Puts a value before the one at `at`. Room is made by `grow`, which is told how much there is.
    pub(crate) fn insert(&mut self, at: usize, value: Scalar<'_>, grow: impl Fn(usize) -> usize) {
        let len = self.numbers.len();
        make_room(&mut self.numbers, &grow);
        self.numbers.insert(at, value.number());
        if !is_plain(value) || self.marks.is_some() {
            let marks =
                self.marks.get_or_insert_with(|| Box::new(Marks { codes: vec![PLAIN; len], ..Marks::default() }));
            let code = marks.code(value);
            make_room(&mut marks.codes, &grow);
            marks.codes.insert(at, code);
        }
        self.observed += usize::from(!is_gap(value));
    }

    /// Puts the values of another chunk behind its own.
    pub(crate) fn append(&mut self, other: &Self) {
        let before = self.numbers.len();
        self.numbers.reserve_exact(other.len());
        self.numbers.extend_from_slice(&other.numbers);
        self.observed += other.observed;
        if self.marks.is_none() && other.marks.is_none() {
            return;
        }
        let marks = self.marks.get_or_insert_with(Box::default);
        marks.codes.reserve_exact(self.numbers.len() - marks.codes.len());
        marks.codes.resize(before, PLAIN);
        match &other.marks {
            Some(others) => marks.append(others),
            None => marks.codes.resize(self.numbers.len(), PLAIN),
        }
    }

    /// A chunk of its own of the values in a range.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        let mut part = Self::of_numbers(self.numbers[range.clone()].to_vec());
        if let Some(marks) = &self.marks
            && marks.codes[range.clone()].iter().any(|&code| code != PLAIN)
        {
            let mut own = Box::<Marks>::default();
            own.codes = range.clone().map(|at| own.code(self.value(at))).collect();
            part.marks = Some(own);
            part.observed = self.observed_in(range);
        }
        part
    }
}

impl Marks {
    fn code(&mut self, value: Scalar<'_>) -> u32 {
        match value {
            Scalar::Null | Scalar::Number(_) => PLAIN,
            Scalar::Bool(false) => FALSE,
            Scalar::Bool(true) => TRUE,
            Scalar::Text(text) => FIRST_TEXT + self.intern(text),
        }
    }

    fn append(&mut self, other: &Self) {
        let places: Vec<u32> = other.texts.iter().map(|text| self.intern(text)).collect();
        let code = |&code: &u32| match code {
            PLAIN | FALSE | TRUE => code,
            text => FIRST_TEXT + places[(text - FIRST_TEXT) as usize],
        };
        self.codes.extend(other.codes.iter().map(code));
    }

    fn intern(&mut self, text: &str) -> u32 {
        let hash = |text: &str| xxh3_64(text.as_bytes());
        if let Some(&place) = self.by_hash.find(hash(text), |&place| &*self.texts[place as usize] == text) {
            return place;
        }
        // A chunk has far fewer values than 2^32, and at most one string for each.
        let place = u32::try_from(self.texts.len()).unwrap_or(u32::MAX - FIRST_TEXT);
        self.texts.push(text.into());
        let texts = &self.texts;
        self.by_hash.insert_unique(hash(text), place, |&place| hash(&texts[place as usize]));
        place
    }
}

/// Whether the numbers say all there is to say.
fn is_plain(value: Scalar<'_>) -> bool {
    matches!(value, Scalar::Null | Scalar::Number(_))
}

fn is_gap(value: Scalar<'_>) -> bool {
    is_plain(value) && value.number().is_nan()
}

/// Makes room for one more in a full vector, for as many as `grow` says.
pub(crate) fn make_room<T>(values: &mut Vec<T>, grow: impl Fn(usize) -> usize) {
    if values.len() == values.capacity() {
        values.reserve_exact(grow(values.len()).max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: [Scalar<'_>; 7] = [
        Scalar::Text("a"),
        Scalar::Null,
        Scalar::Number(1.5),
        Scalar::Bool(true),
        Scalar::Text("b"),
        Scalar::Text("a"),
        Scalar::Bool(false),
    ];

    fn chunk(values: &[Scalar<'_>]) -> Chunk {
        let mut chunk = Chunk::default();
        for (at, value) in values.iter().enumerate() {
            chunk.insert(at, *value, |_| 1);
        }
        chunk
    }

    fn values(chunk: &Chunk) -> Vec<Scalar<'_>> {
        (0..chunk.len()).map(|at| chunk.value(at)).collect()
    }

    #[test]
    fn every_kind_of_value_comes_back() {
        let chunk = chunk(&MIXED);
        assert_eq!(values(&chunk), MIXED);
        assert_eq!((chunk.observed_in(0..7), chunk.observed_in(1..3)), (6, 1));
        assert_eq!(chunk.numbers().iter().filter(|number| !number.is_nan()).count(), 1);
    }

    #[test]
    fn values_are_inserted_in_the_middle_and_in_front() {
        let mut chunk = chunk(&[Scalar::Number(1.0), Scalar::Number(3.0)]);
        chunk.insert(1, Scalar::Text("x"), |_| 1);
        chunk.insert(0, Scalar::Null, |_| 1);
        assert_eq!(values(&chunk), [Scalar::Null, Scalar::Number(1.0), Scalar::Text("x"), Scalar::Number(3.0)]);
    }

    #[test]
    fn a_part_has_only_the_strings_it_needs() {
        let chunk = chunk(&MIXED);
        let part = chunk.part(4..6);
        assert_eq!(values(&part), MIXED[4..6]);
        assert_eq!(part.marks.as_ref().map(|marks| marks.texts.len()), Some(2));
        let plain = chunk.part(1..3);
        assert!(plain.marks.is_none());
        assert_eq!((values(&plain), plain.observed_in(0..2)), (MIXED[1..3].to_vec(), 1));
    }

    #[test]
    fn values_are_put_behind_others_whatever_either_holds() {
        let (plain, mixed) = ([Scalar::Number(1.0), Scalar::Null], MIXED);
        for (front, back) in
            [(&plain[..], &mixed[..]), (&mixed, &plain), (&plain, &plain), (&mixed, &mixed), (&[], &mixed)]
        {
            let mut all = chunk(front);
            all.append(&chunk(back));
            assert_eq!(values(&all), [front, back].concat());
            assert_eq!(all.observed_in(0..all.len()), all.observed_in(0..front.len()) + chunk(back).observed);
            assert!(all.marks.is_none_or(|marks| marks.texts.len() == 2), "each string once");
        }
    }

    #[test]
    fn one_value_often_is_kept_once() {
        let texts = Chunk::of_one(Scalar::Text("x"), 3);
        assert_eq!(values(&texts), [Scalar::Text("x"); 3]);
        assert_eq!((texts.marks.as_ref().map(|marks| marks.texts.len()), texts.observed_in(0..3)), (Some(1), 3));
        assert_eq!(Chunk::of_one(Scalar::Null, 2).observed_in(0..2), 0);
        assert_eq!(Chunk::of_one(Scalar::Number(0.0), 2).numbers(), [0.0, 0.0]);
    }
}
