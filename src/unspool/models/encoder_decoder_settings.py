"""The architecture of an encoder-decoder network."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from unspool.models.language_model import LanguageDropoutSettings, Share, Size
from unspool.settings import Settings

LayerCount = Annotated[int, Field(ge=1, le=64)]


class EncoderDecoderSettings(Settings):
    """The architecture of an :class:`~unspool.models.encoder_decoder.EncoderDecoder`.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}
    embedding_size : int, optional
        ``hidden_size`` when not given.
    target_embedding_size : int, optional
        The target's, where it is to be another.
    hidden_size : int
        Of every layer; a bidirectional one has as many units in each direction.
    num_encoder_layers, num_decoder_layers : int
    bidirectional : bool
        Read the source from both ends.
    reverse_source : bool
        Read the source from its last token to its first, so that it begins near to where the
        target begins (Sutskever, Vinyals & Le 2014, arXiv 1409.3215, section 3.3).
    attention : {"none", "additive", "multiplicative"}
        How the decoder looks back at the source: not at all; or by the scores of Bahdanau et al.
        2015 (arXiv 1409.0473) or of Luong et al. 2015 (arXiv 1508.04025, "general").
    input_feeding : bool
        Give what was seen at a step to the next step's first layer (Luong et al. 2015, section
        3.3). It is the last layer that then looks back. Without, it is the first, so that those
        above know what was seen, and all steps of a target in training are computed at once.
    tie_weights : bool
        Use the target's embedding as the output layer's weights, too (Press & Wolf 2017, arXiv
        1608.05859), and as the source's embedding where both have one vocabulary.
    label_smoothing : float
        Share of the probability that training asks to be spread over the whole vocabulary
        (Szegedy et al. 2016, arXiv 1512.00567, section 7).
    forget_bias : float, optional
        What an LSTM's forget gates start from; torch's random start when not given.
    init : float, optional
        Draw every weight and bias uniformly from ``-init … init``. When not given, the embeddings
        are drawn so from 0.1, and the rest as torch does.
    dropout : LanguageDropoutSettings
        For encoder and decoder alike; the encoder's outputs are what the decoder looks back at.
    """

    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    embedding_size: Size | None = None
    target_embedding_size: Size | None = None
    hidden_size: Size = 256
    num_encoder_layers: LayerCount = 1
    num_decoder_layers: LayerCount = 1
    bidirectional: bool = False
    reverse_source: bool = False
    attention: Literal["none", "additive", "multiplicative"] = "none"
    input_feeding: bool = False
    tie_weights: bool = False
    label_smoothing: Share = 0.0
    forget_bias: float | None = None
    init: Annotated[float, Field(gt=0)] | None = None
    dropout: LanguageDropoutSettings = LanguageDropoutSettings()

    @model_validator(mode="after")
    def _fit_each_other(self) -> "EncoderDecoderSettings":
        if self.forget_bias is not None and self.cell != "lstm":
            raise ValueError(f"forget_bias needs cell 'lstm', got cell {self.cell!r}")
        if self.forget_bias is not None and self.init is not None:
            raise ValueError("init draws the forget gates' biases, too; leave out forget_bias")
        if self.input_feeding and self.attention == "none":
            raise ValueError(
                "input_feeding feeds what attention saw, got attention 'none'; choose 'additive' "
                "or 'multiplicative', or leave out input_feeding"
            )
        if self.reverse_source and self.bidirectional:
            raise ValueError(
                "reverse_source changes nothing for an encoder that is bidirectional; leave out "
                "one of the two"
            )
        return self

    @property
    def directions(self) -> int:
        """In which the source is read: one or two."""
        return 2 if self.bidirectional else 1

    @property
    def source_size(self) -> int:
        """Size of the source's embedding."""
        return self.embedding_size or self.hidden_size

    @property
    def target_size(self) -> int:
        """Size of the target's embedding."""
        return self.target_embedding_size or self.source_size

    @property
    def readout_size(self) -> int:
        """Size of what the output layer reads, ``P``."""
        return self.target_size if self.tie_weights else self.hidden_size
