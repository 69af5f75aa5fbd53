"""Tiny vision-language models with random weights, and processors that are built from nothing."""

import io
from functools import cache

import torch
from PIL import Image
from transformers import (
    CLIPVisionConfig,
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
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from milepost.agents.sight import give_sight
from milepost.agents.tiny.tokenizer import build_tokenizer

WORDS = ("goal", "page", "button", "link", "click", "fill", "Save", "Export", "CSV")
IMAGE, VIDEO = "<|image_pad|>", "<|video_pad|>"
TEMPLATE = (
    "{% for m in messages %}<|user|>{% for part in m.content %}"
    "{% if part.type == 'image' %}<|image_pad|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}<|act|>{% endif %}"
)
MEAN = {"do_normalize": True, "do_rescale": True}


class Stills(Qwen2VLProcessor):  # type: ignore[misc]
    """Qwen2-VL's processor without its part for videos, which needs torchvision."""

    def __init__(self, image_processor: object, tokenizer: PreTrainedTokenizerBase) -> None:
        self.image_token, self.video_token = IMAGE, VIDEO
        self.image_token_id, self.video_token_id = tokenizer.convert_tokens_to_ids([IMAGE, VIDEO])
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=TEMPLATE)


@cache
def make_tokenizer() -> PreTrainedTokenizerBase:
    tokenizer = build_tokenizer(WORDS)
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE, VIDEO]})
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def make_llava(seed: int = 0) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Pictures of one size each, positions that count tokens."""
    tokenizer = make_tokenizer()
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=2048,
    )
    eye = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
    )
    config = LlavaConfig(
        vision_config=eye,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        vision_feature_layer=-1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
    size = {"height": 32, "width": 32}
    processor = LlavaProcessor(
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
    image, video = tokenizer.convert_tokens_to_ids([IMAGE, VIDEO])
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "max_position_embeddings": 2048,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
        },
        vision_config={
            "depth": 2,
            "embed_dim": 16,
            "hidden_size": 32,
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


def _settle(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    with torch.no_grad():
        for parameter in model.parameters():
            # Random weights as they are begun with hardly let a picture through to the words.
            if parameter.ndim > 1:
                parameter.mul_(4.0)
    return model.eval()  # type: ignore[no-untyped-call,no-any-return]


MAKERS = {"llava": make_llava, "qwen2_vl": make_qwen}


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
