"""What is known about each data set: origin, licence, files, sizes and checksums."""

from dataclasses import dataclass

from unspool.data.download import RemoteFile


@dataclass(frozen=True)
class Entry:
    """One data set; ``files`` is empty for a set that comes with Unspool's dependencies."""

    name: str
    title: str
    description: str
    origin: str
    licence: str
    class_names: tuple[str, ...]
    files: tuple[RemoteFile, ...] = ()

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


_DIGITS = tuple("0123456789")

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
    )
}
