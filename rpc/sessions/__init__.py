"""Talking to one device: TVM's protocol and the one of deployed models, and what fits which device.

Imports boards and below.
"""
