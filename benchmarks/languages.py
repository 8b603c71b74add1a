"""What logistic regression makes of the built-in names, beside the recipe ``languages``.

Features are the character 1- to 4-grams of a name, weighted by tf-idf; the division into parts is
the recipe's. The settings were chosen by accuracy on the validation part.

    python benchmarks/languages.py --split validation
    python benchmarks/languages.py --split test
"""

import argparse

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from unspool.data import languages


def main() -> None:
    """Fit on the training part and print the share of right answers on another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", choices=["validation", "test"], default="validation")
    split = parser.parse_args().split

    names = languages.names()
    train, validation, test = map(names.take, names.divide(validation=0.1, test=0.2))
    model = make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(1, 4), lowercase=False, min_df=2),
        LogisticRegression(C=10, max_iter=200),
    )
    model.fit(train.texts, train.labels)
    judged = {"validation": validation, "test": test}[split]
    accuracy = model.score(judged.texts, judged.labels)
    print(f"{split} accuracy {accuracy:.2%} of {len(judged):,} names, {len(train):,} to learn from")


if __name__ == "__main__":
    main()
