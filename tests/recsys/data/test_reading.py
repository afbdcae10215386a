"""Reading events and queries: every layout, and refusals."""

import json

import pytest

from aitk.core.contract.errors import DataError, UsageError
from aitk.core.contract.rows import Refusal
from aitk.recsys.data.options import RateReading, RecommendReading
from aitk.recsys.data.reading import read_events
from aitk.recsys.data.sources import complete_reading
from aitk.recsys.data.values import read_time


@pytest.fixture
def write(tmp_path):
    """Write a file below the test's folder, return its name."""

    def write_file(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write_file


def ignore(sentence):
    """Take a note and forget it."""


def read(*sources, kind=RecommendReading, notes=None, **options):
    """Events as tuples of what they have, refusals as their reason."""
    rows = read_events(sources, kind(**options), note=ignore if notes is None else notes.append)
    return [row.reason if isinstance(row, Refusal) else tuple(row.fields.values()) for row in rows]


ATOMIC = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
EVENTS = [("7", "a", 4.0, 1000.0), ("7", "b", 2.5, 1001.0)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "userId,movieId,rating,timestamp\n7,a,4,1000\n7,b,2.5,1001\n"),
        ("a.tsv", "评分\t用户ID\t商品ID\t时间戳\n4\t7\ta\t1000\n2.5\t7\tb\t1001\n"),
        ("a.inter", f"{ATOMIC}\n7\ta\t4\t1000\n7\tb\t2.5\t1001\n"),
        ("ratings.dat", "7::a::4::1000\n7::b::2.5::1001\n"),
        ("u.data", "7\ta\t4\t1000\n7\tb\t2.5\t1001\n"),
        ("a.csv", "7,a,4,1000\n7,b,2.5,1001\n"),
        ("a.jsonl", """{"user": 7, "item": "a", "rating": 4, "time": 1000}
                       {"user": "7", "item": "b", "rating": 2.5, "time": "1970-01-01T00:16:41"}"""),
        ("a.jsonl", '{"user": 7, "items": ["a", "b"], "ratings": [4, 2.5], "times": [1e3, 1001]}'),
        ("a.txt", "user,item,rating,time\n7,a,4,1000\n7,b,2.5,1001\n"),
    ],
)  # fmt: skip
def test_one_log_in_many_layouts(write, name, content):
    assert read(write(name, content)) == EVENTS


def test_columns_by_name_and_number(write):
    source = write("a.csv", "who,what,liked,when\n7,a,4,1000\n7,b,2.5,1001\n")
    told = {"user_column": "who", "item_column": "2", "rating_column": "liked"}
    assert read(source, time_column="when", **told) == EVENTS
    assert read(source, **told) == [("7", "a", 4.0), ("7", "b", 2.5)]
    with pytest.raises(UsageError, match="no column 'wo'. Did you mean 'who'?"):
        read(source, user_column="wo")
    with pytest.raises(UsageError, match="has two roles"):
        read(source, user_column="who", item_column="1")
    with pytest.raises(DataError, match="cannot tell which column is the user"):
        read(source)


def test_three_columns_without_names_are_detected_by_the_size_of_the_third(write):
    assert read(write("a.csv", "7,a,4\n7,b,2\n"))[0] == ("7", "a", 4.0)
    (row, _) = read_events(
        [write("b.csv", "7,a,1700000000\n7,b,1700000001\n")], RecommendReading(), note=ignore
    )
    assert row.fields == {"user": "7", "item": "a", "time": 1.7e9}


def test_rating_needs_ratings(write):
    source = write("a.csv", "user,item\n7,a\n")
    assert read(source) == [("7", "a")]
    with pytest.raises(DataError, match="cannot tell which column is the rating"):
        read(source, kind=RateReading)


def test_lines_of_items_are_users(write):
    notes = []
    assert read(write("a.txt", "x y\nz\n\nx\n"), notes=notes) == [
        ("1", "x"), ("1", "y"), ("2", "z"), ("4", "x"),
    ]  # fmt: skip
    assert any("one user per line" in note for note in notes)
    assert read(write("b.txt", "ann: x y\nbob: z\n")) == [
        ("ann", "x"), ("ann", "y"), ("bob", "z"),
    ]  # fmt: skip


def test_lines_that_begin_with_ascending_numbers_begin_with_their_user(write):
    lines = [f"{user} 9 8 7\n" for user in range(0, 24, 2)]
    assert read(write("train.txt", "".join(lines)))[:4] == [
        ("0", "9"), ("0", "8"), ("0", "7"), ("2", "9"),
    ]  # fmt: skip


def test_lines_of_two_are_a_user_and_an_item(write):
    assert read(write("a.txt", "1 x\n1 y\n2 x\n")) == [("1", "x"), ("1", "y"), ("2", "x")]


def test_ids_stay_as_they_are(write):
    source = write("a.csv", 'user,item\n007,"Rum, ""white"""\n 7 ,商品\n')
    assert read(source) == [("007", 'Rum, "white"'), ("7", "商品")]


def test_a_float_column_of_integers_in_parquet(tmp_path):
    import pyarrow
    from pyarrow import parquet

    columns = {"user": [1.0, 2.0, None], "item": [10, 11, 12], "rating": [5.0, float("nan"), 3.0]}
    table = pyarrow.table(columns)
    parquet.write_table(table, tmp_path / "a.parquet")
    source = str(tmp_path / "a.parquet")
    assert read(source, kind=RateReading) == [
        ("1", "10", 5.0),
        "it has no rating",
        "it has no user",
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",a,4,1000", "it has no user"),
        ("7, ,4,1000", "it has no item"),
        ("7,a,,1000", "it has no rating"),
        ("7,a,good,1000", "its rating is 'good', which is not a number"),
        ("7,a,nan,1000", "its rating is 'nan', which is not a finite number"),
        ("7,a,-inf,1000", "its rating is '-inf', which is not a finite number"),
        ("7,a,4,", "it has no time"),
        ("7,a,4,-5", "its time is '-5', which is before 1970"),
        ("7,a,4,soon", "its time is 'soon', which is neither seconds nor an ISO date"),
        ("7,a,4,inf", "its time is 'inf', which is neither seconds nor an ISO date"),
        ("7,a,4", "number of fields: 3, not 4"),
        ("7," + "a" * 1001 + ",4,1000", "its item is longer than 1,000 characters"),
    ],
)
def test_refused_lines_come_with_their_reason(write, line, reason):
    source = write("a.csv", f"user,item,rating,time\n{line}\n7,b,2.5,1001\n")
    assert read(source) == [reason, EVENTS[1]]


def test_lists_of_unequal_length_are_refused(write):
    lines = [{"user": 1, "items": ["a"], "ratings": [1, 2]}, {"user": 1, "items": ["a", None]}]
    lines[1]["ratings"] = [1, 2]
    source = write("a.jsonl", "\n".join(map(json.dumps, lines)))
    assert read(source) == ["2 ratings for 1 items", ("1", "a", 1.0), "its event 2: it has no item"]


@pytest.mark.parametrize(
    ("told", "time_s"),
    [
        ("1700000000", 1.7e9),
        (1700000000123, 1700000000.123),
        ("1700000000123456", 1700000000.123456),
        ("1.7e9", 1.7e9),
        ("2023-11-14T22:13:20+00:00", 1.7e9),
        ("2023-11-14 23:13:20+01:00", 1.7e9),
        ("2023/11/14 22:13:20", 1.7e9),
        ("1970-01-02", 86400.0),
    ],
)
def test_times(told, time_s):
    assert read_time(told) == (pytest.approx(time_s, abs=1e-6), None)


def test_names_of_files_tell_the_split(write):
    header = "user_id:token\titem_id:token\n"
    sources = [
        write(f"shop.{name}.inter", header + f"7\t{name}\n") for name in ("train", "valid", "test")
    ]
    rows = list(read_events(sources, RecommendReading(), note=ignore))
    assert [row.split for row in rows] == ["train", "validation", "test"]


def test_a_folder_of_recbole(write, tmp_path):
    write("ml/ml.inter", "user_id:token\titem_id:token\n7\ta\n")
    write("ml/ml.item", "item_id:token\ttitle:token_seq\na\tAlien\n")
    write("ml/ml.user", "user_id:token\tage:float\n7\t33\n")
    folder = str(tmp_path / "ml")
    assert read(folder) == [("7", "a")]
    reading = complete_reading([folder], RecommendReading(), note=ignore)
    assert (reading.items, reading.users) == (folder + "/ml.item", folder + "/ml.user")
    told = complete_reading([folder], RecommendReading(items="mine.csv"), note=ignore)
    assert told.items == "mine.csv"


def test_a_folder_of_movielens(write, tmp_path):
    write("ml-latest/ratings.csv", "userId,movieId,rating,timestamp\n7,a,4,1000\n")
    write("ml-latest/movies.csv", "movieId,title,genres\na,Alien,Horror|Sci-Fi\n")
    write("ml-latest/tags.csv", "userId,movieId,tag,timestamp\n7,a,scary,1000\n")
    write("ml-latest/README.txt", "About this data\n")
    folder = str(tmp_path / "ml-latest")
    assert read(folder) == [EVENTS[0]]
    reading = complete_reading([folder], RecommendReading(), note=ignore)
    assert reading.items == folder + "/movies.csv"


def test_an_empty_folder(tmp_path):
    with pytest.raises(DataError, match="no events in the folder"):
        read(str(tmp_path))


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["09.09.2001 02:42:42", "10.09.2001 00:00:00"], "2001-09-09 02:42:42"),
        (["9/30/2001", "10/1/2001"], "2001-09-30"),
        (["01/02/2001", "13/02/2001"], "2001-02-01"),
        (["30-9-01 1:05 PM", "1-10-01 12:00 AM"], "2001-09-30 13:05:00"),
        (["2001年9月9日", "2001年10月1日"], "2001-09-09"),
        (["20010909", "20011001"], "2001-09-09"),
    ],
)
def test_dates_of_a_country_are_read(write, cells, first):
    source = write("a.csv", "user,item,date\n" + "".join(f"u,i,{cell}\n" for cell in cells))
    rows = list(read_events([source], RecommendReading(), note=ignore))
    assert rows[0].fields["time"] == read_time(first)[0]
    assert rows[1].fields["time"] > rows[0].fields["time"]


def test_which_number_is_the_month_is_looked_for_beyond_the_first_rows(write):
    dates = [f"0{1 + n % 9}/01/2001" for n in range(300)] + ["31/01/2001"]
    source = write("a.csv", "user,item,date\n" + "".join(f"u,i,{date}\n" for date in dates))
    rows = list(read_events([source], RecommendReading(), note=ignore))
    assert rows[1].fields["time"] == read_time("2001-01-02")[0]


def test_dates_that_can_be_read_in_two_ways_are_reported(write):
    source = write("a.csv", "user,item,date\nu,i,03/04/2001\n")
    findings = []
    (row,) = read_events([source], RecommendReading(), note=ignore, findings=findings)
    assert row.fields["time"] == read_time("2001-03-04")[0]
    assert findings[0].grade == "warning" and "--time-format" in findings[0].message
    (row,) = read_events([source], RecommendReading(time_format="dmy"), note=ignore)
    assert row.fields["time"] == read_time("2001-04-03")[0]


def test_a_format_of_times_may_be_stated(write):
    source = write("a.csv", "user,item,date\nu,i,9 Sep 2001\nu,i,09.09.2001\n")
    first, second = read_events([source], RecommendReading(time_format="%d %b %Y"), note=ignore)
    assert first.fields["time"] == read_time("2001-09-09")[0]
    assert "--time-format" in second.reason
    with pytest.raises(UsageError, match="--time-format"):
        list(read_events([source], RecommendReading(time_format="%Q"), note=ignore))


def test_decimal_commas_of_ratings(write):
    source = write("a.csv", "user;item;rating\nu;i;4,5\nu;j;3\n")
    rows = list(read_events([source], RateReading(), note=ignore))
    assert [row.fields["rating"] for row in rows] == [4.5, 3.0]


def test_a_column_of_dates_that_is_not_taken_is_reported(write):
    content = "t_dat,customer_id,article_id,price\n2018-09-20,c1,0108775015,0.05\n"
    source = write("a.csv", content)
    findings = []
    (row,) = read_events([source], RecommendReading(), note=ignore, findings=findings)
    assert row.fields["item"] == "0108775015"
    assert "--time-column t_dat" in findings[0].message
    findings = []
    list(read_events([source], RateReading(rating_column="price"), note=ignore, findings=findings))
    assert not findings  # a random part is held out: the order does not matter


@pytest.mark.parametrize("word", ["NULL", "nan", "None", "N/A", ""])
def test_a_missing_user_or_item_is_refused(write, word):
    source = write("a.csv", f"user_id,item_id\n{word},i\nu,{word}\n5.0,7\n")
    first, second, third = read_events([source], RecommendReading(), note=ignore)
    assert "user" in first.reason and "item" in second.reason
    assert third.fields == {"user": "5", "item": "7"}
    if word:
        kept = list(read_events([source], RecommendReading(keep_na=True), note=ignore))
        assert kept[0].fields["user"] == word


def test_a_column_of_yes_and_no_that_is_not_taken_is_reported(write):
    source = write("a.csv", "user,item,is_click\nu,i,1\nu,j,0\n")
    findings = []
    list(read_events([source], RecommendReading(), note=ignore, findings=findings))
    assert "--rating-column is_click --min-rating 1" in findings[0].message
