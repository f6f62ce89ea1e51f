//! Random trees that compile, of each type, over the columns of the property tests.

use proptest::prelude::*;

use super::Tree;
use super::properties::{COLUMNS, integer, number, word};
use crate::expression::Operation::{self, *};

type Trees = BoxedStrategy<Tree>;

/// Trees up to a depth, by their type.
#[derive(Clone)]
struct Level {
    int: Trees,
    float: Trees,
    flag: Trees,
    time: Trees,
    text: Trees,
}

/// Trees of any type.
pub(super) fn trees() -> Trees {
    let Level {
        int,
        float,
        flag,
        time,
        text,
    } = leaves().grown().grown().grown();
    prop_oneof![int, float, flag, time, text].boxed()
}

fn leaves() -> Level {
    let finite = number().prop_filter("a literal is finite", |value| value.is_finite());
    Level {
        int: prop_oneof![
            feature("v:int"),
            feature("v:count"),
            integer().prop_map(Tree::Int64),
        ]
        .boxed(),
        float: prop_oneof![
            feature("v:float"),
            feature("v:single"),
            request("amount"),
            finite.prop_map(Tree::Float64),
        ]
        .boxed(),
        flag: prop_oneof![feature("v:flag"), any::<bool>().prop_map(Tree::Bool)].boxed(),
        time: prop_oneof![
            feature("v:time"),
            request("since"),
            Just(Tree::Now),
            integer().prop_map(Tree::Timestamp),
        ]
        .boxed(),
        text: prop_oneof![
            feature("v:text"),
            request("place"),
            word().prop_map(Tree::String),
        ]
        .boxed(),
    }
}

impl Level {
    /// Trees of one level more.
    fn grown(self) -> Self {
        Self {
            int: self.ints(),
            float: self.floats(),
            flag: self.flags(),
            time: self.times(),
            text: self.texts(),
        }
    }

    fn number(&self) -> Trees {
        prop_oneof![self.int.clone(), self.float.clone()].boxed()
    }

    fn ints(&self) -> Trees {
        let int = || self.int.clone();
        let other = prop_oneof![self.float.clone(), self.flag.clone(), self.time.clone()].boxed();
        let lists = [feature("v:ints"), feature("v:floats"), feature("v:texts")];
        let sized = proptest::strategy::Union::new(lists).boxed();
        let several = [Add, Multiply, Least, Greatest, Clip, Coalesce];
        prop_oneof![
            4 => int(),
            2 => any_of(&several, [int(), int(), int()]),
            2 => any_of(&[Subtract, FloorDivide, Remainder], [int(), int()]),
            2 => any_of(&[Negate, Abs, Round, Floor], [int()]),
            1 => any_of(&[Where], [self.flag.clone(), or_null(int()), int()]),
            1 => any_of(&[Coalesce], [int(), or_null(int())]),
            1 => any_of(&[ToInt64], [other]),
            1 => any_of(&[Subtract], [self.time.clone(), self.time.clone()]),
            1 => any_of(&[HourOfDay, DayOfWeek], [self.time.clone()]),
            1 => bucket(self.number()),
            1 => any_of(&[Length], [prop_oneof![sized, self.text.clone()].boxed()]),
            1 => any_of(&[Element], [feature("v:ints"), index()]),
            1 => any_of(&[ListSum, ListMin, ListMax], [feature("v:ints")]),
        ]
        .boxed()
    }

    fn floats(&self) -> Trees {
        let float = || self.float.clone();
        let number = || self.number();
        let several = [Add, Multiply, Least, Greatest, Clip, Coalesce];
        let vector = prop_oneof![request("query"), feature("v:vector")].boxed();
        let moment = prop_oneof![self.flag.clone(), self.time.clone()].boxed();
        prop_oneof![
            4 => float(),
            2 => any_of(&several, [float(), number(), number()]),
            2 => any_of(&[Subtract, FloorDivide, Remainder], [number(), float()]),
            2 => any_of(&[Divide, Power], [number(), number()]),
            2 => any_of(&[Sqrt, Exp, Log, Log1p, ToFloat64], [number()]),
            1 => any_of(&[Negate, Abs, Round, Floor, Ceil], [float()]),
            1 => any_of(&[Where], [self.flag.clone(), or_null(number()), float()]),
            1 => any_of(&[ToFloat64], [moment]),
            1 => any_of(&[ListSum, ListMean, ListMin, ListMax], [feature("v:floats")]),
            1 => any_of(&[ListMean], [feature("v:ints")]),
            1 => any_of(&[Element], [feature("v:floats"), index()]),
            1 => any_of(&[Dot, Cosine], [feature("v:vector"), vector]),
        ]
        .boxed()
    }

    fn flags(&self) -> Trees {
        let flag = || self.flag.clone();
        let [number, text, time] = [self.number(), self.text.clone(), self.time.clone()];
        let compared = [Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual];
        let any = prop_oneof![number.clone(), text.clone(), time.clone()].boxed();
        let halves = prop_oneof![
            (-3_i64..4).prop_map(Tree::Int64),
            (-3_i32..4).prop_map(|value| Tree::Float64(f64::from(value) / 2.0)),
            Just(Tree::Float64(-0.0)),
        ];
        prop_oneof![
            4 => flag(),
            2 => any_of(&compared, [number.clone(), number.clone()]),
            1 => any_of(&compared, [time.clone(), time]),
            1 => any_of(&[Equal, NotEqual], [text.clone(), text.clone()]),
            1 => any_of(&[Equal, NotEqual], [flag(), flag()]),
            2 => any_of(&[And, Or], [flag(), flag(), flag()]),
            1 => any_of(&[Not], [flag()]),
            1 => any_of(&[IsNull], [any]),
            1 => any_of(&[Where], [flag(), flag(), or_null(flag())]),
            1 => is_in(self.int.clone(), integer().prop_map(Tree::Int64).boxed()),
            1 => is_in(number, halves.boxed()),
            1 => is_in(text.clone(), word().prop_map(Tree::String).boxed()),
            1 => any_of(&[Contains], [feature("v:ints"), self.int.clone()]),
            1 => any_of(&[Contains], [feature("v:floats"), self.number()]),
            1 => any_of(&[Contains], [feature("v:texts"), text]),
        ]
        .boxed()
    }

    fn times(&self) -> Trees {
        let [time, int] = [self.time.clone(), self.int.clone()];
        let three = [time.clone(), time.clone(), time.clone()];
        prop_oneof![
            4 => time.clone(),
            1 => any_of(&[Add, Subtract], [time.clone(), int.clone()]),
            1 => any_of(&[Add], [int.clone(), time.clone()]),
            1 => any_of(&[Least, Greatest, Clip, Coalesce], three),
            1 => any_of(&[Where], [self.flag.clone(), time.clone(), time]),
            1 => any_of(&[ToTimestamp], [int]),
        ]
        .boxed()
    }

    fn texts(&self) -> Trees {
        let text = || self.text.clone();
        prop_oneof![
            4 => text(),
            1 => any_of(&[Where], [self.flag.clone(), or_null(text()), text()]),
            1 => any_of(&[Coalesce], [text(), or_null(text())]),
            1 => any_of(&[Element], [feature("v:texts"), index()]),
        ]
        .boxed()
    }
}

fn feature(name: &'static str) -> Trees {
    let index = COLUMNS.iter().position(|column| column.0 == name).unwrap();
    prop_oneof![
        Just(Tree::Feature(name.to_owned())),
        Just(Tree::Column(index)),
    ]
    .boxed()
}

fn request(name: &str) -> Trees {
    Just(Tree::Request(name.to_owned())).boxed()
}

fn or_null(tree: Trees) -> Trees {
    prop_oneof![9 => tree, 1 => Just(Tree::Null)].boxed()
}

fn index() -> Trees {
    (-3_i64..4).prop_map(Tree::Int64).boxed()
}

/// One of these operations of these operands.
fn any_of<const N: usize>(operations: &[Operation], operands: [Trees; N]) -> Trees {
    (
        proptest::sample::select(operations.to_vec()),
        Vec::from(operands),
    )
        .prop_map(|(operation, operands)| Tree::Call(operation, operands))
        .boxed()
}

fn is_in(value: Trees, literal: Trees) -> Trees {
    (value, proptest::collection::vec(literal, 1..4))
        .prop_map(|(value, literals)| Tree::Call(IsIn, [vec![value], literals].concat()))
        .boxed()
}

fn bucket(value: Trees) -> Trees {
    let bounds = proptest::collection::btree_set(-5_i64..6, 1..4);
    (value, bounds, any::<bool>())
        .prop_map(|(value, bounds, halves)| {
            let bounds = bounds.into_iter().map(|bound| {
                if halves {
                    Tree::Float64(bound as f64 + 0.5)
                } else {
                    Tree::Int64(bound)
                }
            });
            Tree::Call(Bucket, std::iter::once(value).chain(bounds).collect())
        })
        .boxed()
}
