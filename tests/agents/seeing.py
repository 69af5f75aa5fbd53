"""Tiny vision-language models with random weights, and processors that are built from nothing."""

import copy
import io
from functools import cache
from typing import Any

import torch
from PIL import Image
from transformers import (
    CLIPVisionConfig,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3Processor,
    Gemma3TextConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3Processor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLProcessor,
    SiglipVisionConfig,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from milepost.agents.sight import give_sight
from milepost.agents.tiny.tokenizer import build_tokenizer

WORDS = ("goal", "page", "button", "link", "click", "fill", "Save", "Export", "CSV")
IMAGE, VIDEO, BEGIN, END = "<image>", "<video>", "<image-begin>", "<image-end>"
TILES = ["<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
TILES += [f"<row_{row}_col_{column}>" for row in (1, 2, 3) for column in (1, 2, 3)]
TEXT: dict[str, Any] = {
    "hidden_size": 64,  # 32 for each head, the smallest that vLLM has on a CPU
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 2048,
}
EYE: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 4,
}
TEMPLATE = (
    "{% for m in messages %}<|user|>{% for part in m.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}<|act|>{% endif %}"
)


class Stills(Qwen2VLProcessor):
    """Qwen2-VL's processor without its part for videos, which needs torchvision."""

    def __init__(self, image_processor: object, tokenizer: PreTrainedTokenizerBase) -> None:
        self.image_token, self.video_token = IMAGE, VIDEO
        self.image_token_id, self.video_token_id = (tokenizer.get_vocab()[token] for token in (IMAGE, VIDEO))
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=TEMPLATE)  # type: ignore[no-untyped-call]


@cache
def make_tokenizer() -> PreTrainedTokenizerBase:
    tokenizer = build_tokenizer(WORDS)
    special = [IMAGE, VIDEO, BEGIN, END, *TILES]
    tokenizer.add_special_tokens({"additional_special_tokens": special})
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def make_llava(seed: int = 0) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Pictures of one size each, positions that count tokens."""
    tokenizer = make_tokenizer()
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**EYE | {"patch_size": 8}),
        text_config=LlamaConfig(vocab_size=len(tokenizer), **TEXT),
        image_token_index=tokenizer.get_vocab()[IMAGE],
        vision_feature_layer=-1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
    size = {"height": 32, "width": 32}
    processor = LlavaProcessor(  # type: ignore[no-untyped-call]
        CLIPImageProcessorPil(size=size, crop_size=size, do_center_crop=False),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token=IMAGE,
        chat_template=TEMPLATE,
    )
    return _settle(model, tokenizer), processor


def make_qwen(seed: int = 0) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Pictures of many sizes, positions in three dimensions."""
    tokenizer = make_tokenizer()
    image, video = (tokenizer.get_vocab()[token] for token in (IMAGE, VIDEO))
    config = Qwen2VLConfig(
        text_config={
            **TEXT,
            "vocab_size": len(tokenizer),
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 6, 6]},
        },
        vision_config={
            "depth": 2,
            "embed_dim": 16,
            "hidden_size": 64,
            "num_heads": 2,
            "mlp_ratio": 2,
            "patch_size": 4,
            "spatial_merge_size": 2,
        },
        image_token_id=image,
        video_token_id=video,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2VLForConditionalGeneration(config)
    eyes = Qwen2VLImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 4096}, patch_size=4)
    return _settle(model, tokenizer), Stills(eyes, tokenizer)


def make_idefics(seed: int = 0) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Pictures cut into tiles, with a mask of pixels."""
    tokenizer = make_tokenizer()
    config = Idefics3Config(
        vision_config=EYE,
        text_config={**TEXT, "model_type": "llama", "pad_token_id": 0, "vocab_size": len(tokenizer)},
        scale_factor=2,
        image_token_id=tokenizer.get_vocab()[IMAGE],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Idefics3ForConditionalGeneration(config)
    eyes = Idefics3ImageProcessorPil(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    processor = Idefics3Processor(eyes, tokenizer, image_seq_len=16, chat_template=TEMPLATE)
    return _settle(model, tokenizer), processor


def make_gemma(seed: int = 0) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Tokens of a picture that see one another in both directions, and sliding windows."""
    tokenizer = copy.deepcopy(make_tokenizer())
    ids = tokenizer.get_vocab()
    tokenizer.image_token, tokenizer.boi_token, tokenizer.eoi_token = IMAGE, BEGIN, END
    tokenizer.image_token_id, tokenizer.boi_token_id = ids[IMAGE], ids[BEGIN]
    config = Gemma3Config(
        text_config=Gemma3TextConfig(vocab_size=len(tokenizer), head_dim=32, sliding_window=40, **TEXT),
        vision_config=SiglipVisionConfig(**EYE),
        mm_tokens_per_image=16,
        image_token_index=ids[IMAGE],
        boi_token_index=ids[BEGIN],
        eoi_token_index=ids[END],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Gemma3ForConditionalGeneration(config)
        # It begins as 0, and lets nothing through.
        torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight, std=0.1)
    eyes = Gemma3ImageProcessorPil(size={"height": 32, "width": 32})
    template = TEMPLATE.replace(IMAGE, BEGIN)
    processor = Gemma3Processor(eyes, tokenizer, image_seq_length=16, chat_template=template)
    return _settle(model, tokenizer), processor


def _settle(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    with torch.no_grad():
        for parameter in model.parameters():
            # Random weights as they are begun with hardly let a picture through to the words.
            if parameter.ndim > 1:
                parameter.mul_(4.0)
    return model.eval()  # type: ignore[no-untyped-call,no-any-return]


MAKERS = {"llava": make_llava, "qwen2_vl": make_qwen, "idefics3": make_idefics, "gemma3": make_gemma}
"""Families that treat pictures in different ways."""
FIRST = ("llava", "qwen2_vl")


def make_seeing(name: str, seed: int = 0) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Make a model that sees."""
    model, processor = MAKERS[name](seed)
    give_sight(model, processor)
    return model, make_tokenizer()


def draw_picture(shade: int, size: tuple[int, int] = (64, 48)) -> bytes:
    """Draw a page with a dark field in one corner."""
    picture = Image.new("RGB", size, (shade, 255 - shade, 255))
    picture.paste((20, shade, 20), (0, 0, size[0] // 2, size[1] // 3))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
