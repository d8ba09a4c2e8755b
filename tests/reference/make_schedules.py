#!/usr/bin/env python3
"""Writes schedules.json: the learning rates (and momenta) that PyTorch's schedules set in 100 steps, from 0.5."""
import json
import math
import pathlib
import warnings

import torch
from torch.optim import lr_scheduler as s

STEPS = 100
warnings.simplefilter("ignore")


def run(name, make, momentum=False):
    parameter = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.AdamW([parameter], lr=0.5)
    schedule = make(optimizer)
    rates, momenta = [], []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["betas"][0])
        optimizer.step()
        schedule.step()
    return {"name": name, "lr": rates, **({"momentum": momenta} if momentum else {})}


def plateau(name, metric, **options):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    schedule = s.ReduceLROnPlateau(optimizer, **options)
    rates = []
    for t in range(STEPS):
        schedule.step(metric(t))
        rates.append(optimizer.param_groups[0]["lr"])
    return {"name": name, "lr": rates}


def main():
    cases = [
        run("step", lambda o: s.StepLR(o, 30, gamma=0.3)),
        run("multistep", lambda o: s.MultiStepLR(o, [10, 40, 40, 75], gamma=0.5)),
        run("constant", lambda o: s.ConstantLR(o, factor=0.25, total_iters=7)),
        run("linear", lambda o: s.LinearLR(o, start_factor=0.1, end_factor=0.8, total_iters=33)),
        run("exponential", lambda o: s.ExponentialLR(o, gamma=0.95)),
        run("polynomial", lambda o: s.PolynomialLR(o, total_iters=60, power=1.7)),
        run("cosine", lambda o: s.CosineAnnealingLR(o, 40, eta_min=0.01)),
        run("restarts", lambda o: s.CosineAnnealingWarmRestarts(o, 7, T_mult=2, eta_min=0.01)),
        run("restarts of one length", lambda o: s.CosineAnnealingWarmRestarts(o, 9)),
        run("one cycle", lambda o: s.OneCycleLR(o, 2.0, total_steps=STEPS), True),
        run("one cycle in three phases", lambda o: s.OneCycleLR(
            o, 2.0, total_steps=STEPS, three_phase=True, anneal_strategy="linear", div_factor=10, final_div_factor=100,
            base_momentum=0.8, max_momentum=0.9), True),
        run("lambda", lambda o: s.LambdaLR(o, lambda t: 1 / math.sqrt(t + 1))),
        run("chained", lambda o: s.ChainedScheduler([
            s.LinearLR(o, 0.1, total_iters=10), s.ExponentialLR(o, 0.97), s.StepLR(o, 25, 0.5)])),
        run("sequential", lambda o: s.SequentialLR(o, [
            s.LinearLR(o, 0.05, total_iters=10), s.CosineAnnealingLR(o, 60), s.ConstantLR(o, 0.2, 15)], [10, 70])),
        plateau("plateau", lambda t: 1 / (1 + min(t, 30)), patience=3, factor=0.5),
        plateau("plateau, maximum", lambda t: math.sin(t / 7) + 2, mode="max", threshold=0.01, threshold_mode="abs",
                patience=2, cooldown=4, factor=0.7, min_lr=0.05),
    ]
    path = pathlib.Path(__file__).with_name("schedules.json")
    path.write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")


if __name__ == "__main__":
    main()
