import { testMixes } from './mixes'

testMixes('theirs')
