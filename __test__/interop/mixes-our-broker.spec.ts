import { testMixes } from './mixes'

testMixes('ours')
